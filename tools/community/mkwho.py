"""Writes who.json: the people and the channels."""
import json
from pathlib import Path
H = Path(__file__).parent
ids = {}
for p in (H/"out").glob("*.json"):
    d = json.loads(p.read_text())
    for m in d["messages"]: ids[m["author"]["name"]] = (m["author"]["id"], m["author"]["nickname"])
V = [
 ("lou_glitterglue","owner","primary teacher: lower case, emoji, double question marks, CAPITALS for joy; afternoons and evenings"),
 ("gaz_topbins","member","bike courier: everything is football, commas instead of full stops, no emoji; early and evening"),
 ("mika.mud","member","potter: no capitals, no punctuation, seldom more than one dry line"),
 ("percival_weathervane","member","elderly cataloguer: whole sentences with semicolons and parentheses, never in a hurry"),
 ("ravi.rebases","member","developer: \"status:\", \"update:\", numbers, postmortems; no emoji"),
 ("kasia_dlubie","member","Polish carpenter: short full sentences without articles, proverbs, verdicts"),
 ("dee.nights","member","nurse: dry and dark, one WORD in capitals, at night until October 2025, in the evening since"),
 ("bram_deckhand","member","deckhand: one to four words, no capitals, often days late; one paragraph in November 2025"),
 ("wren_on_cue","member","lighting technician: small i, \"??\" and \"!!\", typos that are *corrected, stage words"),
 ("nico.feedback","erased","sound technician: long run-on sentences with and, honestly, mmm, an x at the end; after 23h; January to September 2025, asks to be taken out when leaving"),
 ("otto_lotgenau","opted_out","German student of ship engineering: correct careful sentences, German lines, :D and ^^; at noon and midnight; says no on 6 February 2025"),
 ("ines.masamadre","member","baker downstairs: jajaja, three dots, Spanish words, missing subjects; 4 to 6 and 14 to 17h"),
 ("Tumbler","bot","dice, polls, music, the kettle's sensor"),
 ("captain_freekeys","banned","no member: a stranger who floods #gaming on 18 June 2025"),
]
only = {"otto_lotgenau": ["Periscope Down", "Spargelzeit", "Kartoffelsuppe", "whale songs"],
        "nico.feedback": ["foghorns/vol-3", "i'll be 29", "recording every door", "cheese toastie"]}
members = []
for n, s, v in V:
    m = {"id": ids[n][0], "name": n, "display_name": ids[n][1], "status": s, "voice": v}
    if n in only: m["said_only_by_them"] = only[n]
    members.append(m)
i = {m["name"]: m["id"] for m in members}
channels = []
for p in sorted((H/"out").glob("*.json")):
    c = json.loads(p.read_text())["channel"]
    e = {"id": c["id"], "name": c["name"], "file": p.name, "type": c["type"], "private": c["name"] == "organisers"}
    if "Thread" in c["type"]: e["parent_id"] = c["categoryId"]
    if e["private"]: e["members"] = [i[n] for n in ("lou_glitterglue","ravi.rebases","kasia_dlubie","dee.nights","wren_on_cue","gaz_topbins","mika.mud","ines.masamadre")]
    channels.append(e)
# Whether it is true that only they say it (in public).
texts = [(m["author"]["name"], m["content"].lower()) for p in (H/"out").glob("*.json") for m in json.loads(p.read_text())["messages"]]
for n, words in only.items():
    for w in words:
        by = {a for a, t in texts if w.lower() in t}
        print(n, repr(w), by if by != {n} else "ok")
(H/"who.json").write_text(json.dumps({"guild_id": "820019346037278789", "members": members, "channels": channels}, ensure_ascii=False, indent=2) + "\n")
