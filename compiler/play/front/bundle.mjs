// Makes ../page/editor.js of CodeMirror's packages: `npm run bundle`, or `node bundle.mjs`.
//
// The packages are those of package-lock.json; they are put below target/, so that none of them is ever a part of the
// repository. The file that is made begins with the digest of what it was made of, which a test compares, and with the
// licences of everything in it.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const front = dirname(fileURLToPath(import.meta.url));
const work = join(front, "../../../target/play-editor");
const sources = ["package.json", "package-lock.json", "editor.js", "bundle.mjs"];

mkdirSync(work, { recursive: true });
for (const name of [...sources, ".npmrc"]) copyFileSync(join(front, name), join(work, name));
execFileSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: work, stdio: "inherit" });

const esbuild = await import(pathToFileURL(join(work, "node_modules/esbuild/lib/main.js")).href);
const built = await esbuild.build({
  entryPoints: ["editor.js"],
  absWorkingDir: work,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  metafile: true,
  write: false,
});

const inside = Object.keys(built.metafile.inputs).map((path) => path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1]);
const packages = [...new Set(inside.filter(Boolean))].sort();
const licences = new Map();
for (const name of packages) {
  const folder = join(work, "node_modules", name);
  const file = ["LICENSE", "LICENSE.md", "LICENSE.txt"].map((name) => join(folder, name)).find(existsSync);
  const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const text = readFileSync(file, "utf8").trim();
  licences.set(text, [...(licences.get(text) ?? []), `${name} ${version}`]);
}
const digest = createHash("sha256");
for (const name of sources) digest.update(readFileSync(join(front, name)));
const notices = [...licences].map(([text, names]) => `${names.join(", ")}:\n\n${text}`).join("\n\n---\n\n");
const head = `/*\nMade by compiler/play/front/bundle.mjs; made of ${digest.digest("hex")}.\n\n${notices}\n*/\n`;
writeFileSync(join(front, "../page/editor.js"), head + built.outputFiles[0].text);
console.log(`${packages.length} packages, ${built.outputFiles[0].text.length} bytes`);
