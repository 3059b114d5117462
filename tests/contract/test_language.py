"""The language check finds an injected violation of each kind, accepts exceptions with reasons, and nothing else."""

import subprocess
from pathlib import Path

import pytest

from codegen.checks import language
from codegen.checks.language import AcceptedFinding, check_exceptions, check_files, load_rules

RULES = load_rules()


def findings(tmp_path: Path, name: str, text: str) -> list[str]:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return [f"{each.rule}: {each.message}" for each in check_files([path], RULES, tmp_path)]


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("identifier.py", "def partner_told(): ...", "names"),
        ("camel_case.py", "class ToldPartner: ...", "names"),
        ("parameter.py", "def send(said): ...", "names"),
        ("attribute.py", "self.kept = 1", "names"),
        ("constant.py", "PATIENCE = 1", "names"),
        ("services/function.py", "def partner_catalog(): ...", "functions"),
        ("codegen/method.py", "class A:\n    async def _partner_catalog(self): ...", "functions"),
        ("deploy/nested.py", "def build():\n    def catalog(): ...", "functions"),
        ("test_name.py", "def test_who_may_read(): ...", "names"),
        ("docstring_word.py", '"""Return the answer that was kept."""', "words"),
        ("docstring_start.py", '"""What is published."""', "docstrings"),
        ("attribute_docstring.py", 'X = 1\n"""Whether it is on."""', "docstrings"),
        ("comment.py", "x = 1  # the broker is away", "words"),
        ("log.py", 'log.warning("nobody hears %s", x)', "words"),
        ("error.py", 'raise ValueError("the key is gone")', "words"),
        ("f_string.py", 'raise ValueError(f"{key} is gone")', "words"),
        ("help.py", 'Field(description="who is told")', "words"),
        ("output.py", 'print(f"{name} is gone")', "words"),
        ("exit.py", 'sys.exit("the mesh is away")', "words"),
        ("services/assigned.py", 'message = "the key is gone"', "words"),
        ("services/returned_error.py", 'def find(): return ApiError(reason, "the key is gone")', "words"),
        ("services/field_error.py", 'errors.append(FieldError(path, f"{name} is gone"))', "words"),
        ("services/class_constant.py", 'class A:\n    text = "the key is gone"', "words"),
        ("codegen/titles.py", 'TITLES = {reason: "The key is gone"}', "words"),
        ("deploy/warning.py", 'warnings.warn("the key is gone")', "words"),
        ("deploy/stderr.py", 'sys.stderr.write("the key is gone")', "words"),
        ("services/lines.py", 'X = """\nthe key is\nis gone\n"""', "words"),
        ("services/metric.py", 'gauge = Gauge("delivery.partners_told")', "names"),
        ("codegen/alert.py", 'yield Alert("CacheGone", expression)', "names"),
        ("tests/assertion.py", 'assert x, "the key is gone"', "words"),
        ("services/rejection.py", 'message = "the server refused the request"', "words"),
        ("services/error_class.py", "class Refuses: ...", "names"),
        ("services/gate.py", "x = 1", "names"),
        ("services/letters/queue.py", "x = 1", "names"),
        ("tests/unit/test_who_may_read.py", "", "names"),
        ("page_told.md", "", "names"),
        ("proof.yaml", "", "names"),
        ("alias.py", "import library as guest", "names"),
        ("alias_of_name.py", "from library import x as kept", "names"),
        ("character.py", "letter = 1", "names"),
        ("alerts.yaml", "- alert: CacheGone", "names"),
        ("recording.yml", "- record: partners_told", "names"),
        ("metric.yaml", "expr: delivery_partners_told > 0", "names"),
        ("contract.yaml", "operationId: tellPartner", "names"),
        ("services/settings.py", "class Settings(BaseSettings):\n    partner_told: str = Field()", "names"),
        ("services/alias.py", 'token: str = Field(validation_alias="PARTNER_TOLD")', "names"),
        ("compose.yaml", "PARTNER_TOLD: ${X:-1}", "names"),
        ("run.sh", "exec run --token $PARTNER_TOLD", "names"),
        ("example.env", "PARTNER_TOLD=1", "names"),
        ("Dockerfile", "ENV PARTNER_TOLD=1", "names"),
        ("services/fault_mode.py", 'REFUSE = "refuse"', "names"),
        ("services/promise.py", "x = 1", "names"),
        ("services/books.py", "x = 1", "names"),
        ("services/chaos/beat.py", "x = 1", "names"),
        ("tests/lives.py", "x = 1", "names"),
        ("bench/alone.py", "x = 1", "names"),
        ("bench/growth.py", "x = 1", "names"),
        ("services/shut.py", "x = 1", "names"),
        ("coverage.md", "The proof of the contract.", "words"),
        ("chaos.md", "Each beat kills a process.", "words"),
        ("workload.md", "An order lives for a minute.", "words"),
        ("executable.md", "A test walks through the page.", "words"),
        ("validation.md", "The response has what the contract promises.", "words"),
        ("open.md", "The circuit breaker is shut.", "words"),
        ("factory.md", "The books of an order.", "words"),
        ("baseline.md", "The service stands alone.", "words"),
        ("request.md", "The job asks the bank.", "words"),
        ("breaker.md", "While the gate is shut, nothing is sent.", "words"),
        ("mail.md", "The letter is sent.", "words"),
        ("pool.md", "Each lane has a worker.", "words"),
        ("priority.md", "An express queue.", "words"),
        ("mtls.md", "The services are connected by mTLS.", "words"),
        ("connexion.md", "The request is validated by Connexion.", "words"),
        ("script.lua", "-- what is kept", "words"),
        ("long_test_name.py", f"def test_{'a' * 66}(): ...", "length"),
        ("page.md", "The partner is told.", "words"),
        ("long_line.md", "word " * 21, "length"),
        ("table.md", f"| a | {'word ' * 25}|", "length"),
        ("contract.yaml", "description: the order is kept", "words"),
        ("contract.proto", "// The door of orders.", "words"),
        ("Makefile", "up: ## boot what is away, by itself", "words"),
    ],
)
def test_injected_violation_is_found(tmp_path: Path, name: str, text: str, rule: str) -> None:
    assert [each.partition(":")[0] for each in findings(tmp_path, name, text)][:1] == [rule]


def test_message_names_the_standard_term(tmp_path: Path) -> None:
    assert findings(tmp_path, "log.py", 'log.info("the cache is away")') == [
        'words: "is away" is not a standard term; write: unavailable'
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("code.md", "```\ntold = kept\n```\nRun `told`."),
        ("link.md", f"[{'a' * 30}](https://example.test/{'a' * 100})"),
        ("string.py", 'x = {"told": 1}'),
        ("use.py", "library.tell()"),
        ("tests/data.py", 'x = "the key is gone"'),
        ("services/name.py", 'x = {"told": "GONE"}'),
        ("services/dead_letter.py", 'class DeadLetter: ...\nx = "the dead letters of a queue"'),
        ("meaning.md", "The socket is shut down; the flag alone is found, and the time to live ends."),
        ("walk.py", "import ast\nast.walk(tree)"),
        ("client.mts", "new Promise((resolve) => resolve())"),
        ("services/connection.py", 'x = "connection refused"'),
        ("capability.md", "JSON Schema cannot express it."),
        ("import.py", "import library"),
        ("services/verb.py", "def build_catalog(): ...\ndef on_order_paid(): ...\ndef order_from_row(): ..."),
        ("services/override.py", "class A:\n    @override\n    def items(self): ..."),
        (
            "services/property.py",
            "class A:\n    @cached_property\n    def items(self): ...\n    def __len__(self): ...",
        ),
        ("tests/fixture.py", "def catalog(): ..."),
        ("api-specs/openapi/orders.yaml", "enum: [PICTURE_REFUSED]"),
        ("plain.py", '"""Return the cached response."""\n\ndef test_cache_when_unavailable_returns_503(): ...'),
    ],
)
def test_standard_text_has_no_finding(tmp_path: Path, name: str, text: str) -> None:
    assert findings(tmp_path, name, text) == []


def test_exception_accepts_its_word_in_its_path_only(tmp_path: Path) -> None:
    rules = load_rules()
    rules.exceptions.append(AcceptedFinding("library.py", "tell", "name of the library"))
    for name in ("library.py", "other.py"):
        (tmp_path / name).write_text("def tell(): ...", encoding="utf-8")
    found = check_files([tmp_path / "library.py", tmp_path / "other.py"], rules, tmp_path)
    assert [each.location for each in found] == ["other.py:1"]


def test_exception_without_a_finding_is_an_error() -> None:
    rules = load_rules()
    rules.exceptions[:] = [AcceptedFinding("missing.py", "told", "stale")]
    assert "accepts nothing" in check_exceptions(rules, [])[0].message


def test_more_than_thirty_exceptions_are_an_error() -> None:
    rules = load_rules()
    rules.exceptions[:] = [AcceptedFinding(f"{number}.py", "told", "one of many") for number in range(31)]
    assert any("at most 30" in each.message for each in check_exceptions(rules, []))


def test_every_exception_has_a_reason() -> None:
    assert all(len(each.reason) > 10 for each in RULES.exceptions)


def test_generated_and_ignored_files_are_not_checked(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    for name in ("new.py", "clock.py", "package-lock.json", "ignored.py", ".gitignore", "generated/out.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("ignored.py\n" if name == ".gitignore" else "", encoding="utf-8")
    assert sorted(path.name for path in language.list_files(tmp_path)) == [".gitignore", "clock.py", "new.py"]


def test_folder_is_checked_with_its_files() -> None:
    folder = language.ROOT / "codegen/checks"
    files = [*language.iter_files([folder, language.ROOT / "README.md"], language.ROOT)]
    assert {folder / "language.py", folder / "__init__.py", language.ROOT / "README.md"} <= {*files}
    assert folder / "language.yaml" not in files, "excluded files are not checked"
    assert language.main([str(folder)]) == 0


def test_missing_path_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        language.main([str(language.ROOT / "missing")])
    assert "not in the repository: " in capsys.readouterr().err
