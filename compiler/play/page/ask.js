// Asks the server: JSON goes there and comes back. What it refuses is an error whose message is its sentence.

export async function ask(what, sent) {
  const post = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(sent) };
  let answer;
  try {
    answer = await fetch(what, sent === undefined ? {} : post);
  } catch {
    throw new Error("oomc play does not answer: it has ended");
  }
  const told = await answer.json();
  if (told.error !== undefined) throw new Error(told.error);
  return told;
}
