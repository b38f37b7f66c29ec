"""sentences: chance and a language -> something plain to say.

The sentences were written for this purpose; numbers, which every voice reads in its own language, go between them.
"""

from __future__ import annotations

import numpy as np

SENTENCES: dict[str, tuple[str, ...]] = {
    "en-us": (
        "The water in the harbour was calm this morning.",
        "Please put both boxes beside the window.",
        "We will move the meeting to Friday.",
        "A small map helped me find the old bridge.",
        "Most people prefer warm bread for breakfast.",
        "She opened the blue book and began to read.",
        "Five ships passed the island before noon.",
        "You can leave your umbrella in the hall.",
        "The moon rose above the quiet village.",
    ),
    "en-gb": (
        "My brother often walks to work by the river.",
        "The garden looks better after a little rain.",
        "Could you bring me a cup of tea?",
        "We waited for the bus under a very large tree.",
        "Some of these pictures show the north of Europe.",
        "The path goes up the hill and over the moor.",
        "Nobody knew who had moved the wooden chair.",
        "They should arrive about half past four.",
    ),
    "de": (
        "Der Bahnhof liegt gleich hinter dem Marktplatz.",
        "Morgen früh fahren wir mit dem Boot über den See.",
        "Bitte mach das Fenster zu, es wird kühl.",
        "Auf dem Tisch stehen zwei blaue Becher.",
        "Im Sommer blühen hier überall Blumen.",
        "Wir möchten später noch ein wenig Musik hören.",
        "Die Brücke wurde vor vielen Jahren gebaut.",
        "Übermorgen wollen wir den Baum pflanzen.",
    ),
    "es": (
        "El mercado abre temprano por la mañana.",
        "Mi hermana prepara una sopa de verduras.",
        "Mañana vamos a caminar hasta el pueblo.",
        "La puerta del museo es grande y muy pesada.",
        "Hoy hace buen tiempo y no hay viento.",
        "Por favor, ponga los libros sobre la mesa.",
        "El tren pasa por un puente muy alto.",
        "Bebemos agua fresca en la montaña.",
    ),
    "fr": (
        "Le bateau part du port à midi.",
        "Nous avons vu un beau film hier soir.",
        "Il faut fermer la porte avant de partir.",
        "Une petite pluie tombe sur le jardin.",
        "Ma voisine apprend à jouer du piano.",
        "Le pain est encore chaud, prenez-en un morceau.",
        "Demain, on ira au musée avec les enfants.",
        "Deux oiseaux bleus chantent sous la fenêtre.",
    ),
    "it": (
        "Il treno parte alle otto e mezza.",
        "La mamma compra il pane in piazza.",
        "Oggi il mare è calmo e molto blu.",
        "Vorrei un bicchiere d'acqua, per favore.",
        "Il ponte porta al vecchio mulino.",
        "Domani puliamo tutta la casa.",
        "Mio padre ripara la bicicletta in giardino.",
        "Abbiamo camminato piano lungo il fiume.",
    ),
    "nl": (
        "De boot vaart langzaam over het water.",
        "Morgen gaan we samen naar de markt.",
        "Mijn buurman heeft een grote tuin.",
        "Kun je het boek op de tafel leggen?",
        "De trein komt over tien minuten aan.",
        "In de winter worden de dagen korter.",
        "Bij de brug staat een oude molen.",
        "We drinken een kop koffie bij het raam.",
    ),
    "pl": (
        "Pociąg odjeżdża z drugiego peronu.",
        "Na stole leży mapa i niebieski ołówek.",
        "Jutro pójdziemy nad jezioro.",
        "Moja babcia piecze bardzo dobry chleb.",
        "Wieczorem słuchamy muzyki przy oknie.",
        "Proszę zamknąć drzwi, bo wieje wiatr.",
        "Most był zbudowany bardzo dawno temu.",
        "W ogrodzie rosną małe białe kwiaty.",
    ),
    "pt": (
        "O barco chega ao porto pela manhã.",
        "Minha irmã gosta de pão com mel.",
        "Hoje o céu está muito azul.",
        "Por favor, ponha a mala perto da porta.",
        "Amanhã vamos visitar uma pequena aldeia.",
        "A ponte passa por cima do rio.",
        "Bebemos um copo de água na varanda.",
        "O mapa mostra o caminho para a montanha.",
    ),
    "ru": (
        "Поезд приходит на вокзал рано утром.",
        "Мы пили чай и смотрели в окно.",
        "Завтра будет тёплая погода.",
        "Книга лежит на большом столе.",
        "Мой брат построил дом у реки.",
        "По мосту медленно идёт автобус.",
        "Пожалуйста, откройте вторую дверь.",
        "Летом бабушка живёт в деревне.",
    ),
    "sv": (
        "Båten går från bryggan klockan åtta.",
        "Min syster bakar bröd på morgonen.",
        "Vi promenerar gärna längs stranden.",
        "Det blåser lite mindre i dag.",
        "Boken om fåglar ligger på bordet.",
        "På sommaren är kvällarna ljusa.",
        "Bron byggdes för mycket länge sedan.",
        "Kan du öppna fönstret i köket?",
    ),
    "tr": (
        "Vapur sabah erkenden limana geliyor.",
        "Annem mutfakta sıcak ekmek pişiriyor.",
        "Yarın köprünün yanında buluşalım.",
        "Masanın üstünde mavi bir bardak var.",
        "Bugün hava güzel, biraz yürüyelim.",
        "Büyük bahçede beyaz çiçekler açtı.",
        "Lütfen pencereyi biraz kapatır mısın?",
        "Bu yol eski bir köye gidiyor.",
    ),
}
LANGUAGES = tuple(SENTENCES)
VOICES = {"en-gb": "en"}
"""The synthesiser's names, where they are others."""


def compose(chance: np.random.Generator, language: str, least_characters: int) -> str:
    """Return text of at least so many characters; a language without sentences of its own gets numbers."""
    said: list[str] = []
    known = SENTENCES.get(language) or SENTENCES.get(language.partition("-")[0], ())
    order = list(chance.permutation(len(known)))
    while sum(map(len, said)) < least_characters:
        if not order or chance.random() < 0.15:
            # Read out, a digit is about five letters.
            said += [", ".join(str(n) for n in chance.integers(0, 100, chance.integers(2, 6))) + "."] * 1
            order = order or list(chance.permutation(len(known)))
        else:
            said.append(known[order.pop()])
    return " ".join(said)
