"""All public names of PyZMQ, as JSON: of the package, of its modules, and the members of its classes."""
import ast
import inspect
import json
import pathlib

import zmq

root = pathlib.Path(zmq.__file__).parent
names = {name for name in zmq.__all__ if not name.startswith("_")}
names -= {"Enum", "IntEnum", "IntFlag"}  # Python's own

# Options are attributes, too, in lower case, and listed once.
options = {name.lower() for name in names if name.isupper()} | names
for cls in (zmq.Context, zmq.Socket, zmq.Poller, zmq.Frame, zmq.MessageTracker, zmq.Stopwatch):
    for member in dir(cls):
        if not member.startswith("_") and member not in options:
            names.add(f"{cls.__name__}.{member}")

# What needs a library that is not there is not imported, but read. The package
# has copies of Tornado, and parts that are only for itself.
private = {"tests", "minitornado", "backend", "sugar"}


def public(nodes):
    for node in nodes:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            yield node


for file in root.rglob("*.py"):
    path = file.relative_to(root)
    if private & set(path.parts) or (path.name.startswith("_") and path.name != "__init__.py"):
        continue
    tree = ast.parse(file.read_text())
    listed = set()
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "__all__" for target in node.targets):
            try:
                listed |= set(ast.literal_eval(node.value))
            except ValueError:
                pass
    defined = {node.name for node in public(tree.body)}
    module = [part.removesuffix(".py") for part in path.parts if part != "__init__.py"]
    for name in listed | defined if module else []:
        names.add(".".join([*module, name]))
    for node in public(tree.body):
        if isinstance(node, ast.ClassDef) and module and module[0] != "constants":
            for member in public(node.body):
                names.add(f"{node.name}.{member.name}")

print(json.dumps({"version": zmq.__version__, "names": sorted(names)}))
