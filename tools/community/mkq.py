import json
from pathlib import Path
H=Path(__file__).parent
old=json.loads((H/'src/first/questions.json').read_text())
kinds=['person','joke','joke','changed']+['fact']*8
qs=[{'question':o['question'],'evidence':o['evidence'],'answer':o['answer'],'kind':k} for o,k in zip(old[:12],kinds)]
def q(kind,question,evidence,answer): qs.append(dict(question=question,evidence=evidence.split(),answer=answer,kind=kind))
# changed
q('changed','which evening do they play nowadays?','saltday2 saltday1','Mondays at half past seven, since 22 September 2025. Before that Tuesdays (from 11 March), and Thursdays at first.')
q('changed','where is Gaz living these days?','gazmove2 gazmove1','In the loft of Wren\'s old boathouse, since 30 August 2025. From March he had the box room at his cousin Deano\'s, 12 Tannery Lane.')
q('changed','can you ring Dee on her mobile again?','phone5 phone4 phone2','Yes, on her mum\'s old phone with buttons, since June 2025. Ravi repaired the first one in February; it fell into the dal in April and could not be saved.')
q('changed','what is the name of Gaz\'s dog?','dog2 dog1','Offside. At the shelter he was called Keeper; he was renamed in July 2025.')
q('changed','is it the kettle that makes the floor wet?','radiator kettleleak kettlefix','No. It was a radiator valve behind the wall all along, found and replaced on 25 October 2025. Kasia had soldered the kettle in April, and nine days later the floor was wet again.')
q('changed','can Percival be in a room with a cat?','allergy 1302298655843156191','Yes. He believed he was allergic to cats; in June 2025 it turned out to be lavender, in his pillow.')
q('changed','where did everybody go on holiday together in the summer?','trip5 trip4 trip3 trip1','To the bothy on Skerrow Island, 15 to 17 August. First it was Ennor Water on 25 to 27 July, then Skerrow on the 8th.')
q('changed','what do you hear when you ring at Wren\'s?','bell2 bell1 1315010089563718460','The second half of the hymn. It used to give up after the first half; then, for a week, it played all four verses.')
q('changed','who was in the bathtub in the end?','crew3 crew2 crew1','Kasia and Gaz rowed and Inés bailed. Ravi was moved to the stopwatch, and Lou stayed on the quay because she could not swim well enough.')
# time
q('time','how long were the lights out in the whole town?','cut2 cut1','Six and a half hours: from 18:40 on Saturday 8 March 2025 to 01:10.')
q('time','when did Town escape relegation?','stayup','Saturday 3 May 2025, with a goalless draw.')
q('time','what day is Gaz\'s birthday?','gazbday','15 March; in 2025 it was a Saturday.')
q('time','when did Wren hurt her wrist?','wrist','On 9 October 2025: she fell off the small ladder, and it was her left wrist.')
q('time','when was Inés away from the bakery?','ineshome1 ineshome2','29 September to 5 October 2025, for her sister\'s wedding in Donostia.')
q('time','what date was the bathtub regatta?','tubwhen tubthird','Sunday 20 July 2025.')
q('time','when was Kasia\'s mum staying here?','mother','For a week from 4 July 2025.')
# person
q('person','whose roll of baking paper was it that Percival fed to the printer?','inesroll','Inés\'s, from the bakery downstairs: her hands were full, so she left it by the door.')
q('person','who has been stealing Gaz\'s sheep?','sheep1','Lou, all nineteen, since November. Everybody had blamed Kasia\'s Grażyna.')
q('person','who takes care of the sourdough starter now?','keith2 keith1','Inés. Dee had left Keith at the back of the fridge; now he is in the bakery\'s country loaves.')
q('person','who won the second cabbage evening?','rematch','Gaz, by one cabbage: 12 to Kasia\'s 11, on 22 February 2025.')
q('person','who damaged Kasia\'s oak table?','holewho hole1','Ravi: he drilled an 8 mm hole for a cable, although she had forbidden it in writing.')
q('person','who is the best at the frog cars?','puddle1','Inés, with 212 points in July 2025. Percival came last, with 12.')
q('person','who has been running the game since the autumn?','bramdm','Bram, who opens with "dark. wet. a door."')
# joke
q('joke','what was inside Hexharbour?','hexjig hexbox','A jigsaw of a thousand pieces, of Harrowmere harbour. There never was a game in the box.')
q('joke','why does Gerald think every day is the same?','geraldtue','The battery of his clock has been flat since 2011, so he starts every time on a Tuesday.')
q('joke','why does Percival\'s catalogue begin with a nought?','nought1','The copper printer on his own roof: it was given and not found, so he entered it as number nought.')
q('joke','how was the Salt King defeated?','saltking saltking2','By an audit: Kasia\'s tax inspector Grażyna found that he had never paid the tax on his salt.')
q('joke','why does the sign on the workshop say so little?','signwhy','Lou ran out of board, so it says KASIA FIXES.')
q('joke','what did Bram tell the schoolchildren about being lonely?','notnow','"not now".')
# fact
q('fact','what filling do Kasia\'s doughnuts need?','paczki','Rose jam; she does not want to hear of strawberry.')
q('fact','how do I cook a Spanish omelette?','tortillarec','Six eggs, four potatoes, one big onion and a lot of oil: the potatoes cook slowly, everything rests ten minutes, and the middle must still move a little.')
q('fact','how do you get rid of head lice?','nits','Wet combing with cheap conditioner every three days for two weeks, says Dee; there is no need to boil the bedding.')
q('fact','where do I look if I cannot get into the Kettle?','keybiscuit','In the blue biscuit tin on the windowsill: the spare key lives there.')
q('fact','what is mika\'s recipe for green glaze?','glaze','Nepheline syenite 40, silica 25, whiting 20, clay from the quay 15, and 3 of copper carbonate, fired to cone 6.')
q('fact','how did Gaz make it up to Wren?','gazsorry','He apologised and worked the get-in at the theatre on the Sunday, unpaid, carrying whatever she pointed at.')
q('fact','why was Lou upset with mika?','clayday claywhy','mika forgot clay day at the school on 4 September: 28 children sat waiting in their aprons for an hour.')
# private
q('private','what was the secret word for when Percival came in?','code2 code1','Baguette.')
q('private','how much money came together for the party?','jar','£214.50, of which £124.70 went on a coat.')
q('private','which relative of Percival came to his party?','augusta3 augusta1 augusta2','His sister Augusta; they had not spoken for twelve years.')
q('private','on what date was Bram born?','bday2','On 18 November; he turns fifty in 2025, when it is a Tuesday.')
q('private','what job has Lou applied for?','deputy1','Deputy head; the interview is on 26 November 2025.')
q('private','where did the metal for the weathervane come from?','copper','The old gutter of St Wilf\'s: eleven kilos of copper, in exchange for the repair of the gate.')
# never said
for t in ('what colour is Bram\'s van?','how much rent does Wren pay?','what is Gaz\'s middle name?','which university did Ravi go to?','who is Kasia married to?','what instrument did Dee learn at school?'):
    q('never_said',t,'','Nobody has said that.')
assert len(qs)==60,len(qs)
(H/'questions.src.json').write_text(json.dumps(qs,ensure_ascii=False,indent=1))
