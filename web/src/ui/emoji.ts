// The emoji offered, in groups; a screen reader names each in the person's language.
const groups = {
  faces:
    '😀 😃 😄 😁 😅 😂 🙂 🙃 😉 😊 😇 🥰 😍 😘 😋 😜 🤗 🤭 🤔 🤨 😐 😑 😶 🙄 😏 😬 😌 😔 😴 😷 🤒 🤕 🤧 🥵 🥶 😵 🤯 😎 🤓 😕 😟 🙁 😮 😳 🥺 😢 😭 😱 😤 😡 💀 🤖',
  hands: '👍 👎 👌 ✌️ 🤞 🤝 👏 🙌 🙏 💪 👋 ✋ 🤚 👆 👇 👉 👈 ✍️ 🫶 🤷 🤦 🙋 👀 🧠 👶 👩 👨 🧑 👵 👴 👥',
  nature: '🌞 🌙 ⭐ 🌈 ☁️ ☔ ❄️ 🔥 🌊 🌱 🌳 🌷 🌻 🍀 🍂 🐶 🐱 🐭 🦊 🐻 🐼 🐸 🐔 🐧 🐦 🦉 🐝 🦋 🐢 🐟 🐬 🦄',
  food: '🍎 🍐 🍊 🍋 🍌 🍇 🍓 🍒 🍑 🥝 🍅 🥕 🌽 🥐 🥖 🧀 🥗 🍕 🍝 🍜 🍣 🍰 🎂 🍪 🍫 ☕ 🍵 🍺 🍷 🥂 🍽️',
  places: '🏠 🏡 🏢 🏥 🏦 🏫 🏛️ ⛪ 🕌 🗼 🌍 🗺️ 🧭 🚗 🚕 🚌 🚆 🚲 ✈️ ⛵ 🚀 ⛰️ 🏖️ 🎪 🛒',
  things:
    '📎 📌 📄 📁 📅 📈 📉 📦 ✉️ 📞 📱 💻 🖨️ 🔑 🔒 🔓 🔧 🔨 ⚙️ 🔬 💊 🩺 💡 🔦 ⏰ ⌛ 🎁 🎉 🎈 🎓 🏆 ⚽ 🎸 🎵 📚 🖊️ 💶 🧾 🗳️',
  signs: '❤️ 🧡 💛 💚 💙 💜 🖤 🤍 💔 ✅ ☑️ ❌ ⭕ ❗ ❓ ⚠️ ⛔ 💯 🔔 🔕 ➕ ➖ ➡️ ⬅️ ⬆️ ⬇️ 🔁 🆗 🔴 🟠 🟡 🟢 🔵',
} as const;

export type EmojiGroup = keyof typeof groups;
export const emojiGroups = Object.fromEntries(
  Object.entries(groups).map(([k, v]) => [k, v.split(' ')]),
) as Record<EmojiGroup, string[]>;

/** Offered first. */
export const usual = ['👍', '❤️', '😂', '😮', '😢', '🙏', '✅', '🎉'];
