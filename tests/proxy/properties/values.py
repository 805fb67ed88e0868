"""Values of settings for hypothesis, from sensible to hostile."""

from __future__ import annotations

from typing import Any

from hypothesis import Phase
from hypothesis import strategies as st

from hearth.settings.routes import OLLAMA_ENDPOINTS
from tests.support.shipped import defaults

Values = st.SearchStrategy[Any]

# Without the phase that explains failures, which takes minutes here.
PHASES = (Phase.explicit, Phase.generate, Phase.shrink)

# Texts that end a quotation, line, element or word in httpd.conf, YAML, Compose, sh, HTML, JSON or Jinja.
HOSTILE = [
    *(
        "",
        " ",
        "\n",
        "\t",
        "\r\n",
        "\0",
        "'",
        '"',
        "`",
        "\\",
        "#",
        ";",
        "&",
        "|",
        "$",
        "%",
        "*",
        "?",
        "~",
        "!",
        "-",
        "--x",
    ),
    *("$(id)", "`id`", "${HOME}", "$HOME", "$$", "a; id", "a && id", "a\nid", "'; id; '", '"; id; "', "a' 'b", "\\\n"),
    *("HEARTH", "\nHEARTH\nid\n", "EOF", "../../etc/passwd", "/etc/passwd", "a/../b", "//x", "~root", "-rf /"),
    *("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</title><script>", "&lt;", "&amp;amp;", "<!--"),
    *(
        '"\nRequire all granted\n"',
        '" env=x',
        "%{HTTP_HOST}",
        "${PATH}",
        "</Location>",
        "\\\nListen 81",
        'a" "b',
        "^",
        ".*",
    ),
    *(
        "{{ 7*7 }}",
        "{% raw %}",
        "{# x",
        "%s",
        "%(x)s",
        "{0}",
        "a: b",
        "- a",
        "[a]",
        "{a: b}",
        "!!python/none",
        "&a",
        "*a",
        "yes",
        "null",
    ),
    *("\u2028", "\u0085", "\ufeff", "\u202e", "\ud800", "é", "日本語", "🔥", "ＡＢ", "１２", "٣", "İ", "ß", "a\u0301"),
    *(
        "http://",
        "http://a",
        "http://a\n",
        "HTTP://A",
        "http://[::1]",
        "http://a:99999",
        "http://a@b",
        "a:b",
        "1",
        "-1",
        "0x1f",
        "1e3",
    ),
]
TEXTS = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=20),
    st.text(alphabet="ab.-_/:*$\"'\\ \n#{}<>&;%", max_size=12),
    st.sampled_from(["a" * 300, "1" * 5000, "a." * 200 + "a", "/a" * 500]),
)
NUMBERS = st.one_of(
    st.integers(-2, 100),
    st.sampled_from([0, 1, 65535, 65536, 2**31, 2**63, 2**64, -(2**63), 10**30]),
    st.floats(),
    st.booleans(),
)
ANYTHING = st.recursive(
    st.one_of(st.none(), TEXTS, NUMBERS, st.binary(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3), st.tuples(inner)),
    max_leaves=5,
)


def mixed(text: Values) -> Values:
    """The text, sometimes with something hostile at the end, at the beginning or in the middle."""
    cut = st.tuples(text, st.sampled_from(HOSTILE), st.integers(0, 40)).map(
        lambda t: t[0][: t[2]] + t[1] + t[0][t[2] :]
    )
    return st.integers(0, 11).flatmap(lambda chance: cut if chance == 7 else text)


def matching(pattern: str) -> Values:
    """Texts that match a pattern, ASCII or not."""
    return st.from_regex(pattern, fullmatch=True)


LABEL = r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?"
NAME = rf"{LABEL}(\.{LABEL}){{0,3}}"
HOST = st.one_of(matching(NAME), st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(lambda a: f"[{a.compressed}]"))
PORT = st.integers(1, 65535)
ADDRESS = st.tuples(st.sampled_from(["http", "https"]), HOST, PORT).map(lambda t: f"{t[0]}://{t[1]}:{t[2]}")
APP = matching(r"(app|tauri|capacitor|vscode-webview)://[A-Za-z0-9._-]{1,12}|chrome-extension://[a-p]{32}")
ORIGIN = st.one_of(ADDRESS, matching(rf"https?://(\*\.)?{NAME}"), APP)
IMAGE = matching(
    rf"({NAME}(:[0-9]{{1,5}})?/)?[a-z0-9]{{1,8}}([._/-][a-z0-9]{{1,5}}){{0,3}}:[A-Za-z0-9_][A-Za-z0-9_.-]{{0,9}}"
)
MODEL = matching(
    r"([A-Za-z0-9][A-Za-z0-9._-]{0,5}/){0,2}[A-Za-z0-9][A-Za-z0-9._-]{0,8}(:[A-Za-z0-9][A-Za-z0-9._-]{0,8})?"
)
SIZE = st.one_of(matching(r"[1-9][0-9]{0,3}[kmg]"), matching(r"[0-9]{1,30}[kmg]"))
DURATION = st.one_of(st.sampled_from(["-1", "0"]), matching(r"([0-9]{1,6}[hms]){1,3}"))
DIRECTORY = st.one_of(st.just(""), matching(r"(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,8}){1,4}"))
PATH = matching(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,6}){1,3}/?")
NETWORK = st.one_of(
    st.tuples(st.ip_addresses(v=4).map(str), st.integers(0, 32)).map(lambda t: f"{t[0]}/{t[1]}"),
    st.tuples(st.ip_addresses(v=6).map(str), st.integers(0, 128)).map(lambda t: f"{t[0]}/{t[1]}"),
    st.ip_addresses().map(str),
)
OLLAMA_ROUTE = st.sampled_from(sorted(OLLAMA_ENDPOINTS)).flatmap(
    lambda to: st.fixed_dictionaries(
        {
            "path": mixed(PATH.map(lambda path: (path.rstrip("/") or "/x") + ("/{model}" if "{model}" in to else ""))),
            "to": st.just(to),
            "methods": st.lists(st.sampled_from(sorted(OLLAMA_ENDPOINTS[to])), min_size=1, unique=True),
        }
    )
)
BACKEND_ROUTE = st.tuples(mixed(PATH), HOST, PORT, mixed(PATH), st.booleans()).map(
    lambda t: {
        "path": t[0].rstrip("/") + ("/" if t[4] else ""),
        "to": f"http://{t[1]}:{t[2]}{t[3].rstrip('/')}" + ("/" if t[4] else ""),
        "methods": ["GET", "POST"],
    }
)
SOME: dict[str, Values] = {
    "ollama_image": mixed(IMAGE),
    "proxy_image": mixed(IMAGE),
    "proxy_port": PORT,
    "chat_title": st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(codec="utf-8"), min_size=1, max_size=80)),
    "allowed_origins": st.lists(mixed(ORIGIN), max_size=4),
    "proxy_host_names": st.lists(mixed(matching(NAME)), max_size=4),
    "proxy_routes": st.lists(OLLAMA_ROUTE, max_size=4),
    "proxy_extra_routes": st.lists(st.one_of(BACKEND_ROUTE, OLLAMA_ROUTE), max_size=3),
    "proxy_timeout": st.integers(1, 86400),
    "proxy_max_body": SIZE,
    "proxy_memory_limit": SIZE,
    "ollama_models": st.lists(mixed(MODEL), max_size=4),
    "ollama_models_dir": mixed(DIRECTORY),
    "ollama_model_registry": mixed(ADDRESS),
    "ollama_publish": mixed(st.tuples(st.ip_addresses(v=4), PORT).map(lambda t: f"{t[0]}:{t[1]}")),
    "ollama_keep_alive": DURATION,
    "ollama_load_timeout": DURATION,
    "ollama_memory_limit": SIZE,
    "ollama_model_sizes_gb": st.dictionaries(mixed(MODEL), st.floats(), max_size=3),
    "docker_apt_url": mixed(ADDRESS),
    "docker_registry_mirrors": st.lists(mixed(ADDRESS), max_size=3),
    "docker_log_max_size": SIZE,
    "firewall_allowed_networks": st.lists(mixed(NETWORK), max_size=4),
    "ollama_allowed_networks": st.lists(mixed(NETWORK), max_size=4),
}


def like(value: Any) -> Values:
    """Values of a default's type, for settings that are not listed above."""
    if isinstance(value, bool):
        return st.booleans()
    if isinstance(value, int | float):
        return st.integers(0, 9).flatmap(lambda chance: NUMBERS if chance == 7 else st.integers(1, 64))
    if isinstance(value, str):
        return mixed(st.just(value))
    if isinstance(value, list):
        return st.lists(st.sampled_from(["192.168.1.0/24", "a", *HOSTILE]), max_size=2)
    return ANYTHING


@st.composite
def changed(draw: st.DrawFn) -> dict[str, Any]:
    """Some settings by name, mostly with the right type, sometimes with any type or an unknown name."""
    known = defaults()
    names = draw(st.lists(st.sampled_from(sorted(known)), min_size=1, max_size=5, unique=True))
    data = {name: draw(SOME.get(name, like(known[name]))) for name in names}
    if draw(st.integers(0, 11)) == 7:
        data[draw(st.sampled_from(sorted(known)))] = draw(ANYTHING)
    if draw(st.integers(0, 30)) == 7:
        data[draw(st.one_of(st.text(st.characters(codec="utf-8"), max_size=8), st.just("proxy_prot")))] = draw(ANYTHING)
    return data
