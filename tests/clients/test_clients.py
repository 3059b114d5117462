"""Clients that public generators write from the published contract: they compile, and order through the edge.

Opt-in (`make test-clients`), because the generators and their runtimes are large.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.clients.programs import DRIVERS, PYTHON, TOOLS, assert_result, run
from tests.conftest import ROOT

CONTRACT = ROOT / "generated/openapi/delivery.json"
JAVA_CLASS_PATH = (
    TOOLS / "python/lib/python3.13/site-packages/openapi_generator_cli/openapi-generator.jar",
    Path("/usr/share/java/httpmime.jar"),
)
"""Libraries of the Java client: Jackson and HttpCore, which the generator itself contains, and HttpMime of Debian."""

OPENAPI_GENERATOR_OPTIONS = {
    "go": "",
    "java": "library=native,openApiNullable=false,useJakartaEe=false",
    "python": "",
    "typescript-fetch": "",
}
"""Additional properties by generator."""


def run_openapi_generator(generator: str, folder: Path, **properties: str) -> Path:
    """Generate a client with OpenAPI Generator and return its folder."""
    options = ",".join(filter(None, [OPENAPI_GENERATOR_OPTIONS[generator], *map("=".join, properties.items())]))
    command = ["openapi-generator-cli", "generate", "-i", CONTRACT, "-g", generator, "-o", folder / generator]
    parts = "apis,models,supportingFiles,apiTests=false,modelTests=false,apiDocs=false,modelDocs=false"
    run([*command, f"--additional-properties={options}", f"--global-property={parts}"], folder)
    return folder / generator


def compile_typescript(folder: Path, pattern: str, *options: str) -> None:
    """Compile the TypeScript files of a folder; an error fails the test."""
    common = {"target": "es2022", "lib": ["es2023", "dom", "dom.iterable"], "strict": True, "types": []}
    settings = {"compilerOptions": common, "include": [pattern]}
    (folder / "tsconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    run(["tsc", "-p", folder, *options], folder)


def test_client_of_openapi_generator_for_python_orders(tmp_path: Path, customer: Mapping[str, str]) -> None:
    folder = run_openapi_generator("python", tmp_path)
    driver = shutil.copy(DRIVERS / "openapi_generator_python.py", folder / "driver.py")
    run([PYTHON, "-m", "mypy", "openapi_client", "driver.py"], folder)
    assert_result(run([PYTHON, driver], folder, **customer))


def test_client_of_openapi_generator_for_go_orders(tmp_path: Path, customer: Mapping[str, str]) -> None:
    folder = run_openapi_generator("go", tmp_path)
    module = (folder / "go.mod").read_text(encoding="utf-8")
    module = module.replace("github.com/GIT_USER_ID/GIT_REPO_ID", "delivery.example/client")
    (folder / "go.mod").write_text(module, encoding="utf-8")
    (folder / "cmd").mkdir()
    shutil.copy(DRIVERS / "main.go", folder / "cmd/main.go")
    environment = {"GOPROXY": "off", "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "GOCACHE": str(TOOLS / "go")}
    run(["go", "vet", "./..."], folder, **environment)
    assert_result(run(["go", "run", "./cmd"], folder, **environment, **customer))


def test_client_of_hey_api_orders(tmp_path: Path, customer: Mapping[str, str]) -> None:
    run(["openapi-ts", "-i", CONTRACT, "-o", tmp_path / "hey"], TOOLS / "node")
    shutil.copy(DRIVERS / "hey_api.ts", tmp_path / "driver.ts")
    compile_typescript(tmp_path, "driver.ts", "--module", "commonjs", "--outDir", "out")
    assert_result(run(["node", "out/driver.js"], tmp_path, **customer))


def test_client_of_openapi_generator_for_typescript_compiles(tmp_path: Path) -> None:
    folder = run_openapi_generator("typescript-fetch", tmp_path)
    compile_typescript(folder, "**/*.ts", "--noEmit", "--module", "esnext", "--moduleResolution", "bundler")


def test_client_of_orval_compiles(tmp_path: Path) -> None:
    run(["orval", "--input", CONTRACT, "--output", tmp_path / "api.ts", "--client", "fetch"], TOOLS / "node")
    compile_typescript(tmp_path, "api.ts", "--noEmit", "--module", "esnext", "--moduleResolution", "bundler")


def test_client_of_openapi_generator_for_java_orders(tmp_path: Path, customer: Mapping[str, str]) -> None:
    folder = run_openapi_generator("java", tmp_path)
    sources = sorted((folder / "src/main").rglob("*.java"))
    for source in sources:
        # The JDK has this annotation in another package than JSR 250, which is no part of it.
        text = source.read_text(encoding="utf-8").replace(
            "javax.annotation.Generated", "javax.annotation.processing.Generated"
        )
        source.write_text(text, encoding="utf-8")
    class_path = ":".join(map(str, [*JAVA_CLASS_PATH, folder / "classes"]))
    compiler = ["javac", "-encoding", "UTF-8", "-nowarn", "-cp", class_path, "-d", folder / "classes"]
    run([*compiler, *sources, DRIVERS / "Main.java"], folder)
    assert_result(run(["java", "-cp", class_path, "Main"], folder, **customer))
