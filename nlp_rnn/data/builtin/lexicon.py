"""The words of the corpus `builtin`.

Each table is text with one entry per line, so that a word can be added as a line. German nouns are lower case
like everything else. These are left out on purpose: nouns of the weak declension (der Nachbar, den Nachbarn),
adjectives whose stem changes when declined (teuer, teure; dunkel, dunkle) except in predicates, and words
whose translation depends on anything outside the sentence.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Noun:
    """A noun in both languages."""

    english: str
    plural: str  # "" for mass nouns
    german: str
    gender: str
    german_plural: str
    kind: str


@dataclass(frozen=True)
class Adjective:
    """An adjective in both languages."""

    english: str
    german: str
    positive: bool
    negatable: bool  # "terrible" is not: "not terrible" is not positive
    gradable: bool  # "terrible" is not: "very terrible" is not correct
    attributive: bool  # also used before a noun
    kinds: frozenset[str]
    comparative: tuple[str, str] | None  # German stem, tagged English


@dataclass(frozen=True)
class Verb:
    """A verb in both languages."""

    english: tuple[str, str, str, str]  # base, third person, past, participle
    german: tuple[str, str, str, str]  # I, you (du), he, plural
    infinitive: str
    participle: str
    prefix: str = ""  # of separable verbs


# english  plural  german  gender  german plural  kind;  "-": no plural, a mass noun
_SCENES = {
    "restaurant": """
        soup soups suppe f suppen meal
        cake cakes kuchen m kuchen meal
        salad salads salat m salate meal
        bread - brot n - meal
        food - essen n - meal
        coffee - kaffee m - drink
        wine wines wein m weine drink
        drink drinks getränk n getränke drink
        waiter waiters kellner m kellner person
        cook cooks koch m köche person
        cook cooks köchin f köchinnen person
        restaurant restaurants restaurant n restaurants place
        taste - geschmack m - sense
        smell - geruch m - sense
    """,
    "theatre": """
        film films film m filme film
        play plays theaterstück n theaterstücke film
        show shows show f shows film
        dance dances tanz m tänze film
        story stories geschichte f geschichten text
        song songs lied n lieder music
        music - musik f - music
        concert concerts konzert n konzerte music
        actor actors schauspieler m schauspieler person
        singer singers sängerin f sängerinnen person
        theatre theatres theater n theater place
        sound - ton m - sense
    """,
    "office": """
        work - arbeit f - task
        talk talks vortrag m vorträge speech
        plan plans plan m pläne text
        answer answers antwort f antworten text
        book books buch n bücher text
        help - hilfe f - aid
        boss bosses chef m chefs person
        boss bosses chefin f chefinnen person
        teacher teachers lehrer m lehrer person
        teacher teachers lehrerin f lehrerinnen person
        computer computers computer m computer device
        phone phones telefon n telefone device
        office offices büro n büros place
    """,
    "journey": """
        trip trips reise f reisen event
        walk walks spaziergang m spaziergänge event
        visit visits besuch m besuche event
        train trains zug m züge vehicle
        bus buses bus m busse vehicle
        car cars auto n autos vehicle
        driver drivers fahrer m fahrer person
        city cities stadt f städte place
        park parks park m parks place
        museum museums museum n museen place
        hotel hotels hotel n hotels place
        room rooms zimmer n zimmer place
        bed beds bett n betten furniture
    """,
    "home": """
        house houses haus n häuser place
        garden gardens garten m gärten place
        kitchen kitchens küche f küchen place
        chair chairs stuhl m stühle furniture
        table tables tisch m tische furniture
        sister sisters schwester f schwestern person
        brother brothers bruder m brüder person
        friend friends freund m freunde person
        son sons sohn m söhne person
        daughter daughters tochter f töchter person
        doctor doctors arzt m ärzte person
        doctor doctors ärztin f ärztinnen person
        tea - tee m - drink
        dance dances tanz m tänze film
        work - arbeit f - task
    """,
}

_EVERYTHING = "meal drink film text speech music person place device furniture task aid event vehicle sense"

# english  german  polarity  comparative  |  kinds;
# after the polarity, "!": never negated, "^": not after "very", "*": only a predicate
_ADJECTIVES = f"""
    good gut + better:besser | {_EVERYTHING}
    bad schlecht - worse:schlechter | {_EVERYTHING}
    great toll +^ | {_EVERYTHING}
    wonderful wunderbar +^ | {_EVERYTHING}
    terrible schrecklich -!^ | {_EVERYTHING}
    awful furchtbar -!^ | {_EVERYTHING}
    pleasant angenehm +* | sense event place
    unpleasant unangenehm -* | sense event
    fresh frisch +* | meal
    tasty lecker +* | meal drink
    bland fad -* | meal
    disgusting ekelhaft -!^* | meal drink
    exciting spannend + | film text speech event
    boring langweilig - more_boring:langweiliger | film text speech music task event
    funny lustig + | film text speech
    interesting interessant + | film text speech task place event
    stupid dumm -* | film text
    clever klug +* | text speech person
    weak schwach -* | film text speech
    beautiful schön + more_beautiful:schöner | film text music place event
    ugly hässlich - | place furniture vehicle
    friendly freundlich + friendlier:freundlicher | person
    rude unhöflich - | person
    polite höflich +* | person
    nice nett + nicer:netter | person
    lazy faul - lazier:fauler | person
    honest ehrlich + | person
    mean gemein -* | person
    arrogant arrogant - | person
    clean sauber + | place vehicle furniture
    dirty schmutzig - | place vehicle furniture
    quiet ruhig +* | place
    loud laut -* | place device vehicle
    modern modern + | place device furniture vehicle
    comfortable bequem +* | furniture vehicle
    dangerous gefährlich -* | event vehicle
    useful nützlich +* | device task aid text speech
    useless nutzlos -* | device task aid text speech
    slow langsam - | device vehicle person
    fast schnell + faster:schneller | device vehicle
    reliable zuverlässig +* | device vehicle person
    broken kaputt -^* | device vehicle furniture
    tiring anstrengend -* | event task
"""

# Neither good nor bad, but "too" makes them bad: english  german  |  kinds. Predicates only.
_EXCESSIVE = """
    long lang | film text speech music event
    short kurz | film text speech music event
    small klein | place furniture
    loud laut | music
    sweet süß | drink
    salty salzig | meal
    expensive teuer | meal drink place vehicle device furniture event
    hard hart | furniture task
    difficult schwierig | task text speech
    strict streng | person
    strong stark | sense
"""

# base  third  past  participle  |  I  you  he  plural  infinitive  participle  prefix
_VERBS = """
    work works worked worked | arbeite arbeitest arbeitet arbeiten arbeiten gearbeitet
    play plays played played | spiele spielst spielt spielen spielen gespielt
    dance dances danced danced | tanze tanzt tanzt tanzen tanzen getanzt
    cook cooks cooked cooked | koche kochst kocht kochen kochen gekocht
    film films filmed filmed | filme filmst filmt filmen filmen gefilmt
    talk talks talked talked | rede redest redet reden reden geredet
    sing sings sang sung | singe singst singt singen singen gesungen
    plan plans planned planned | plane planst plant planen planen geplant
    go goes went gone | gehe gehst geht gehen gehen gegangen
    come comes came come | komme kommst kommt kommen zurückkommen zurückgekommen zurück
    arrive arrives arrived arrived | komme kommst kommt kommen ankommen angekommen an
    hurt hurts hurt hurt | tue tust tut tun wehtun wehgetan weh
    look looks looked looked | sehe siehst sieht sehen aussehen ausgesehen aus
    taste tastes tasted tasted | schmecke schmeckst schmeckt schmecken schmecken geschmeckt
    smell smells smelled smelled | rieche riechst riecht riechen riechen gerochen
    sound sounds sounded sounded | klinge klingst klingt klingen klingen geklungen
    like likes liked liked | mag magst mag mögen mögen gemocht
    love loves loved loved | liebe liebst liebt lieben lieben geliebt
    enjoy enjoys enjoyed enjoyed | genieße genießt genießt genießen genießen genossen
    recommend recommends recommended recommended | empfehle empfiehlst empfiehlt empfehlen empfehlen empfohlen
    hate hates hated hated | hasse hasst hasst hassen hassen gehasst
    convince convinces convinced convinced | überzeuge überzeugst überzeugt überzeugen überzeugen überzeugt
    impress impresses impressed impressed | - - beeindruckt beeindrucken beeindrucken beeindruckt
    disappoint disappoints disappointed disappointed | - - enttäuscht enttäuschen enttäuschen enttäuscht
    bother bothers bothered bothered | - - stört stören stören gestört
    annoy annoys annoyed annoyed | - - ärgert ärgern ärgern geärgert
    please pleases pleased pleased | - - gefällt gefallen gefallen gefallen
    help helps helped helped | helfe hilfst hilft helfen helfen geholfen
    answer answers answered answered | antworte antwortest antwortet antworten antworten geantwortet
    visit visits visited visited | besuche besuchst besucht besuchen besuchen besucht
    clean cleans cleaned cleaned | putze putzt putzt putzen putzen geputzt
    lie lies lied lied | lüge lügst lügt lügen lügen gelogen
    shout shouts shouted shouted | schreie schreist schreit schreien schreien geschrien
    see sees saw seen | sehe siehst sieht sehen sehen gesehen
    read reads read read | lese liest liest lesen lesen gelesen
    hear hears heard heard | höre hörst hört hören hören gehört
    eat eats ate eaten | esse isst isst essen essen gegessen
    drink drinks drank drunk | trinke trinkst trinkt trinken trinken getrunken
    buy buys bought bought | kaufe kaufst kauft kaufen kaufen gekauft
    meet meets met met | treffe triffst trifft treffen treffen getroffen
    have has had had | habe hast hat haben haben gehabt
    bring brings brought brought | bringe bringst bringt bringen bringen gebracht
    give gives gave given | gebe gibst gibt geben geben gegeben
    show shows showed shown | zeige zeigst zeigt zeigen zeigen gezeigt
    think thinks thought thought | glaube glaubst glaubt glauben glauben geglaubt
    say says said said | sage sagst sagt sagen sagen gesagt
    know knows knew known | weiß weißt weiß wissen wissen gewusst
"""


def _lines(table: str) -> list[str]:
    return [line.strip() for line in table.splitlines() if line.strip()]


def _noun(line: str) -> Noun:
    return Noun(*line.replace(" - ", "  ").split(" "))


def _adjective(line: str) -> Adjective:
    head, kinds = line.split(" | ")
    english, german, polarity, *comparative = head.split()
    more = None
    if comparative:
        words, stem = comparative[0].split(":")
        more = (stem, " ".join(f"{word}/{'ADV' if word == 'more' else 'ADJ'}" for word in words.split("_")))
    return Adjective(
        english,
        german,
        positive=polarity[0] == "+",
        negatable="!" not in polarity,
        gradable="^" not in polarity,
        attributive="*" not in polarity,
        kinds=frozenset(kinds.split()),
        comparative=more,
    )


def _verb(line: str) -> Verb:
    english, german = (half.split() for half in line.split(" | "))
    first, second, third, plural, infinitive, participle, *prefix = german
    base, english_third, past, english_participle = english
    english_forms = (base, english_third, past, english_participle)
    return Verb(english_forms, (first, second, third, plural), infinitive, participle, "".join(prefix))


SCENES = {name: [_noun(line) for line in _lines(table)] for name, table in _SCENES.items()}
ADJECTIVES = [_adjective(line) for line in _lines(_ADJECTIVES)]
EXCESSIVE = [_adjective(line.replace(" | ", " -* | ")) for line in _lines(_EXCESSIVE)]
VERBS = {verb.english[0]: verb for verb in map(_verb, _lines(_VERBS))}

ACTIVITIES = ("work", "work", "play", "play", "dance", "cook", "talk", "sing", "film", "plan")

# A verb for what people do with a thing of each kind.
EXPERIENCE = {
    "film": "see",
    "text": "read",
    "speech": "hear",
    "music": "hear",
    "meal": "eat",
    "drink": "drink",
    "place": "visit",
    "person": "meet",
    "device": "buy",
    "vehicle": "buy",
    "furniture": "buy",
}

# Where and with whom people do something: German, tagged English.
PLACES = [
    ("hier", "here/ADV"),
    ("dort", "there/ADV"),
    ("bei google", "at/ADP google/PROPN"),
    ("in berlin", "in/ADP berlin/PROPN"),
    ("in paris", "in/ADP paris/PROPN"),
    ("im garten", "in/ADP the/DET garden/NOUN"),
    ("mit ihm", "with/ADP him/PRON"),
    ("mit ihr", "with/ADP her/PRON"),
    ("mit den kindern", "with/ADP the/DET children/NOUN"),
    ("für die kinder", "for/ADP the/DET children/NOUN"),
]
MANNERS = [("gut", "well/ADV", True), ("schlecht", "badly/ADV", False)]
COMPANIONS = [  # what people work with: German dative, accusative, tagged English, good or bad
    ("liebe", "liebe", "love/NOUN", True),
    ("freude", "freude", "joy/NOUN", True),
    ("fehlern", "fehler", "mistakes/NOUN", False),
    ("stress", "stress", "stress/NOUN", False),
]
LIKENESSES = [  # what people work like: singular, plural, good or bad
    ("ein star", "a/DET star/NOUN", "stars", "stars/NOUN", True),
    ("ein engel", "an/DET angel/NOUN", "engel", "angels/NOUN", True),
    ("ein anfänger", "a/DET beginner/NOUN", "anfänger", "beginners/NOUN", False),
    ("ein roboter", "a/DET robot/NOUN", "roboter", "robots/NOUN", False),
]
TASTES = [
    ("ein traum", "a/DET dream/NOUN", True),
    ("seife", "soap/NOUN", False),
    ("papier", "paper/NOUN", False),
]
THERE = [  # nouns after "there is": German, gender, tagged English, countable, good or bad
    ("problem", "n", "problem/NOUN", True, False),
    ("lärm", "m", "noise/NOUN", False, False),
    ("schmutz", "m", "dirt/NOUN", False, False),
    ("hilfe", "f", "help/NOUN", False, True),
    ("platz", "m", "space/NOUN", False, True),
    ("liebe", "f", "love/NOUN", False, True),
]
BODY = [
    ("mein rücken", "my/PRON back/NOUN"),
    ("mein rücken", "my/PRON back/NOUN"),
    ("mein kopf", "my/PRON head/NOUN"),
    ("sein arm", "his/PRON arm/NOUN"),
    ("ihr rücken", "her/PRON back/NOUN"),
    ("ihr knie", "her/PRON knee/NOUN"),
]
