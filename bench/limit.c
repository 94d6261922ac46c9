/* Receives messages with libzmq alone and prints the microseconds for each.
   limit backlog|tcp|pull MESSAGES: pull prints its endpoint, and receives what comes
   there; its time begins with the first message. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

static void *context;
static int messages;
static char endpoint[256] = "inproc://backlog";

static void *send_all(void *unused) {
  (void)unused;
  void *socket = zmq_socket(context, ZMQ_PUSH);
  int none = 0;
  zmq_setsockopt(socket, ZMQ_SNDHWM, &none, sizeof none);
  zmq_connect(socket, endpoint);
  for (int i = 0; i < messages; i++)
    if (zmq_send(socket, "\"aaaaaaaaaaaaaa\"", 16, 0) != 16) exit(1);
  zmq_close(socket);
  return NULL;
}

static double now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec * 1e6 + at.tv_nsec / 1e3;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int backlog = strcmp(argv[1], "backlog") == 0, pull = strcmp(argv[1], "pull") == 0, most = backlog ? 0 : 1000;
  messages = atoi(argv[2]);
  context = zmq_ctx_new();
  void *socket = zmq_socket(context, ZMQ_PULL);
  zmq_setsockopt(socket, ZMQ_RCVHWM, &most, sizeof most);
  if (zmq_bind(socket, backlog ? endpoint : "tcp://127.0.0.1:*") != 0) return 1;
  pthread_t sender;
  if (!backlog) {
    size_t length = sizeof endpoint;
    zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &length);
  }
  int received = 0;
  char frame[64];
  if (pull) {
    printf("%s\n", endpoint);
    fflush(stdout);
    if (zmq_recv(socket, frame, sizeof frame, 0) != 16) return 1;
  } else {
    pthread_create(&sender, NULL, send_all, NULL);
    pthread_join(sender, NULL);
  }
  double start = now();
  for (; received < messages; received++)
    if (zmq_recv(socket, frame, sizeof frame, 0) != 16) return 1;
  printf("%.4f\n", (now() - start) / received);
  zmq_close(socket);
  zmq_ctx_term(context);
  return 0;
}
