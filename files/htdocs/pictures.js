// Pictures for models with vision: scaled down, without the camera's metadata.

import { button, byId, element } from "./dom.js";

const MAX_SIDE = 1280; // models use a lower resolution

/** Converts a picture file to a base64 JPEG of at most 1280 pixels per side. */
export async function shrink(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error(`“${file.name}” is not a picture that this browser supports. Save it as JPEG or PNG and try again.`);
  }
  const scale = Math.min(1, MAX_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = element("canvas");
  canvas.width = Math.ceil(bitmap.width * scale);
  canvas.height = Math.ceil(bitmap.height * scale);
  const context = canvas.getContext("2d", { alpha: false });
  context.fillStyle = "#fff"; // JPEG has no transparency
  context.fillRect(0, 0, MAX_SIDE, MAX_SIDE);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/jpeg", 0.9).split(",")[1];
}

export function thumbnail(base64, alt) {
  const image = element("img");
  image.src = `data:image/jpeg;base64,${base64}`;
  image.alt = alt;
  return image;
}

/** Shows the pictures of the next prompt; `changed` is called after one was removed from the array. */
export function showPictures(pictures, changed) {
  byId("drafts").replaceChildren(...pictures.map((picture, at) => {
    const remove = button("Remove", () => {
      pictures.splice(at, 1);
      changed();
    });
    remove.setAttribute("aria-label", `Remove picture ${at + 1}`);
    return element("div", "draft", thumbnail(picture, `Picture ${at + 1}`), remove);
  }));
}
