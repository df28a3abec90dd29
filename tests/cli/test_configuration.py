"""Options from the environment and from files, and which of them wins."""

import pytest

TABLE = {"vggexport.toml": "{}", "pyproject.toml": "[tool.vggexport]\n{}"}


def spec_of(outcome):
    assert outcome.code == 0, outcome.stderr
    return outcome.json["spec"]


def test_an_option_from_the_environment(run, monkeypatch):
    monkeypatch.setenv("VGGEXPORT_SUMMARY_CLASSES", "7")
    monkeypatch.setenv("VGGEXPORT_SUMMARY_FC_UNITS", "8")
    spec = spec_of(run("summary", "--json"))
    assert (spec["classes"], spec["fc_units"]) == (7, 8)


def test_another_commands_environment_is_ignored(run, monkeypatch):
    monkeypatch.setenv("VGGEXPORT_ONNX_CLASSES", "7")
    assert spec_of(run("summary", "--json"))["classes"] == 1000


def test_the_weights_of_onnx_from_the_environment(run, monkeypatch):
    monkeypatch.setenv("VGGEXPORT_ONNX_WEIGHTS", "from_the_environment.npz")
    outcome = run("onnx")
    assert outcome.code == 2
    assert "from_the_environment.npz does not exist" in outcome.error


def test_a_bad_value_in_the_environment(run, monkeypatch):
    monkeypatch.setenv("VGGEXPORT_SUMMARY_CLASSES", "many")
    outcome = run("summary")
    assert outcome.code == 2
    assert "'many'" in outcome.error
    assert "--classes" in outcome.error
    assert "(from the environment)" in outcome.error


def test_json_from_the_environment(run, monkeypatch):
    monkeypatch.setenv("VGGEXPORT_SUMMARY_JSON", "1")
    assert run("summary").json["schema"] == 1


def test_verbose_from_the_environment(run, monkeypatch):
    monkeypatch.setenv("VGGEXPORT_SUMMARY_VERBOSE", "1")
    assert "Traceback" in run("summary", "--input-size", 3).stderr


@pytest.mark.parametrize("name", TABLE)
def test_a_file_gives_defaults(run, workplace, name):
    (workplace / name).write_text(TABLE[name].format("classes = 7\nconfig = 'B'\n"))
    spec = spec_of(run("summary", "--json"))
    assert (spec["classes"], spec["configuration"]) == (7, "B")


def test_vggexport_toml_goes_before_pyproject(run, workplace):
    (workplace / "vggexport.toml").write_text("classes = 7\n")
    (workplace / "pyproject.toml").write_text("[tool.vggexport]\nclasses = 8\n")
    assert spec_of(run("summary", "--json"))["classes"] == 7


def test_a_pyproject_of_another_tool(run, workplace):
    (workplace / "pyproject.toml").write_text("[tool.other]\nclasses = 8\n")
    assert spec_of(run("summary", "--json"))["classes"] == 1000


def test_a_commands_own_table_goes_before_the_top_level(run, workplace):
    (workplace / "vggexport.toml").write_text("classes = 7\n[summary]\nclasses = 8\n[onnx]\n")
    assert spec_of(run("summary", "--json"))["classes"] == 8


def test_a_top_level_option_that_only_another_command_has(run, workplace):
    (workplace / "vggexport.toml").write_text("calibration-samples = 7\nclasses = 8\n")
    assert spec_of(run("summary", "--json"))["classes"] == 8


def test_command_line_before_environment_before_file(run, workplace, monkeypatch):
    (workplace / "vggexport.toml").write_text("classes = 7\n")
    assert spec_of(run("summary", "--json"))["classes"] == 7
    monkeypatch.setenv("VGGEXPORT_SUMMARY_CLASSES", "8")
    assert spec_of(run("summary", "--json"))["classes"] == 8
    assert spec_of(run("summary", "--json", "--classes", 9))["classes"] == 9


@pytest.mark.parametrize("key", ["fc-units", "fc_units"])
@pytest.mark.parametrize("table", ["", "[summary]\n"])
def test_hyphens_and_underscores(run, workplace, key, table):
    (workplace / "vggexport.toml").write_text(f"{table}{key} = 7\n")
    assert spec_of(run("summary", "--json"))["fc_units"] == 7


@pytest.mark.parametrize("key", ["json", "[summary]\njson"])
def test_json_in_a_file(run, workplace, key):
    (workplace / "vggexport.toml").write_text(f"{key} = true\n")
    assert run("summary").json["schema"] == 1


def test_the_command_line_overrides_quantize_in_a_file(run, workplace):
    """Precision is settled before weights are opened, so a missing file ends both."""
    (workplace / "vggexport.toml").write_text("[onnx]\nquantize = true\n")
    outcome = run("onnx", "--precision", "float32", "--weights", "none.npz")
    assert "none.npz does not exist" in outcome.error


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("clases = 7", "classes"),
        ("[onnx]\nfc-unit = 7", "onnx.fc_units"),
        ("[onx]\nclasses = 7", "onnx"),
    ],
)
def test_an_unknown_key_is_named_with_its_nearest(run, workplace, name, key, near):
    if name == "pyproject.toml":
        key = key.replace("[on", "[tool.vggexport.on")
    (workplace / name).write_text(TABLE[name].format(key))
    outcome = run("summary")
    assert outcome.code == 2
    assert name in outcome.error
    assert f"did you mean {near}?" in outcome.error


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("vggexport.toml", "classes = "),
        ("vggexport.toml", "onnx = 5"),
        ("vggexport.toml", "classes = 'many'"),
        ("vggexport.toml", "[classes]\nmany = 7"),
        ("pyproject.toml", "[tool"),
        ("pyproject.toml", "tool = 5"),
        ("pyproject.toml", "[tool]\nvggexport = 5"),
    ],
)
def test_a_file_that_cannot_be_used(run, workplace, name, text):
    (workplace / name).write_text(text)
    outcome = run("summary")
    assert outcome.code == 2
    assert "unexpected" not in outcome.error
    assert outcome.stdout == ""


def test_a_file_that_is_not_utf_8(run, workplace):
    (workplace / "vggexport.toml").write_bytes(b"config = '\xff'")
    outcome = run("summary")
    assert outcome.code == 2
    assert "vggexport.toml" in outcome.error


def test_a_command_with_a_hyphen_has_a_table(run, workplace):
    (workplace / "vggexport.toml").write_text("[check-bundle]\npublic-key = 'missing.pem'\n")
    (workplace / "text.zip").write_text("no bundle")
    assert "is not a bundle" in run("check-bundle", "text.zip").error
    (workplace / "vggexport.toml").write_text("[check-bundle]\nthread = 2\n")
    assert "did you mean check-bundle.threads?" in run("check-bundle", "text.zip").error


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("classes = 4.7", "'4.7'"),
        ("classes = true", "'true'"),
        ("classes = 2024-01-01", "'2024-01-01'"),
        ("classes = [7]", "classes is [7]: it takes one value"),
        ("strict = 2", "'2' is not a valid boolean"),
        ("strict = []", "strict is []: it takes one value"),
    ],
)
def test_a_value_of_another_type_is_refused_as_it_would_be_if_typed(run, workplace, line, said):
    (workplace / "vggexport.toml").write_text(line)
    outcome = run("summary")
    assert outcome.code == 2
    assert said in outcome.error
    assert "configuration file" in outcome.error or "vggexport.toml" in outcome.error


@pytest.mark.parametrize(
    ("line", "units"), [("fc-units = 7", 7), ("fc-units = [7]", [7]), ("fc-units = [8, 7]", [8, 7])]
)
def test_numbers_and_lists_are_taken_as_they_are_written(run, workplace, line, units):
    (workplace / "vggexport.toml").write_text(line, encoding="utf-8-sig")
    assert spec_of(run("summary", "--json"))["fc_units"] == units


def test_an_option_that_may_be_repeated_takes_one_value_and_a_list(run, workplace):
    for value in ("'missing.json'", "['missing.json']"):
        (workplace / "vggexport.toml").write_text(f"[bundle]\nreport = {value}\noutput = 'b.zip'\n")
        assert "missing.json" in run("bundle", "a.onnx").error


def test_a_misspelt_option_of_the_command_in_the_environment(run, monkeypatch):
    monkeypatch.setenv("VGGEXPORT_SUMMARY_CLASES", "7")
    outcome = run("summary")
    assert outcome.code == 2
    assert "did you mean VGGEXPORT_SUMMARY_CLASSES?" in outcome.error
