import type { Theme } from "vitepress"
import DefaultTheme from "vitepress/theme-without-fonts"
import WhereIsMyMessage from "./WhereIsMyMessage.vue"
import "./style.css"

export default {
  extends: DefaultTheme,
  enhanceApp: ({ app }) => void app.component("WhereIsMyMessage", WhereIsMyMessage)
} satisfies Theme
