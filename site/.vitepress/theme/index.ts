import type { Theme } from "vitepress"
import DefaultTheme from "vitepress/theme-without-fonts"
import Layout from "./Layout.vue"
import "./style.css"
import WhereIsMyMessage from "./WhereIsMyMessage.vue"

export default {
  extends: DefaultTheme,
  Layout,
  enhanceApp: ({ app }) => void app.component("WhereIsMyMessage", WhereIsMyMessage)
} satisfies Theme
