"""Files of labels in every form that people have: the names, or one line on what is wrong."""

import json
import re

import pytest

from tests.recorded_progress import Recorded
from vggexport.errors import InputError
from vggexport.opening.labels import read_labels
from vggexport.system.progress import Steps

TWO = ("ant", "bee")


@pytest.mark.parametrize(
    ("content", "labels"),
    [
        (b"a\nb c\n", ("a", "b c")),
        (b"a\r\nb\r\n", ("a", "b")),
        (b" a\t\nb", ("a", "b")),
        (b"\xef\xbb\xbfa\nb\n", ("a", "b")),  # the mark that Windows editors put first
        ("ä\n犬\n".encode(), ("ä", "犬")),
        (b"ant\nbee\n\n  \r\n\n", TWO),
        ("ant\r\nbee\r\n".encode("utf-16"), TWO),
        ("ant\nbee\n".encode("utf-16-le"), TWO),
        ("ant\nbee\n".encode("utf-16-be"), TWO),
        (b"0 ant\n1 bee\n", TWO),
        (b"0: ant\n1: bee\n", TWO),
        (b"0,ant\n1,bee\n", TWO),
        (b"0\tant\n1\tbee\n", TWO),
        (b"0. ant\n1. bee\n", TWO),
        (b"1) bee\n0) ant\n", TWO),
        (b"1=bee\n0=ant\n", TWO),
        (b"0.5 l\n1.5 l\n", ("0.5 l", "1.5 l")),
        (b"1 ant\n2 bee\n", TWO),
        (b"1 bee\n0 ant\n", TWO),
        (b"1 euro\n2 euro\n", ("1 euro", "2 euro")),
        (b"7 seas\nbee\n", ("7 seas", "bee")),
        (b"101 dalmatians\n102 dalmatians\n", ("101 dalmatians", "102 dalmatians")),
        (b"background\nant\nbee\n", TWO),
        (b"0 background\n1 ant\n2 bee\n", TWO),
        (b"background\nbee\n", ("background", "bee")),
        (b"crane\ncrane\n", ("crane (0)", "crane (1)")),
        (
            b"n01440764 tench, Tinca tinca\nn01443537 goldfish\n",
            ("n01440764 tench, Tinca tinca", "n01443537 goldfish"),
        ),
        ("cafe\u0301\nbee\n".encode(), ("caf\u00e9", "bee")),
        (b'["ant", "bee"]', TWO),
        (b'{"1": "bee", "0": "ant"}', TWO),
        (b'{"bee": 1, "ant": 0}', TWO),
        (
            b'{"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}',
            ("n01440764 tench", "n01443537 goldfish"),
        ),
    ],
)
def test_labels(tmp_path, content, labels):
    (tmp_path / "labels.txt").write_bytes(content)
    assert read_labels(tmp_path / "labels.txt", 2) == labels


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"ant\n", "has 1 name on 1 line: 2 classes need one name per line"),
        (b"ant,bee\n", "2 classes need one name per line, not commas between them"),
        (b"ant; bee", "2 classes need one name per line, not semicolons between them"),
        (b"ant\n\nbee\n", "has 2 names on 3 lines"),
        (b"", "has 0 names on 0 lines"),
        (b"sea\nant\nbee\n", "has 3 names on 3 lines"),
        (b"caf\xe9\nbee\n", "invalid continuation byte; save it as UTF-8"),
        (b'["ant"]', "has 1 name on 1 item"),
        (b'["ant", 7]', "is JSON of another kind (7 is not a name)"),
        (b'{"0": "ant", "2": "bee"}', "its indices are not 0 to 1"),
        (b'{"ant": {"id": 1}}', "is JSON of another kind ('ant' is no index)"),
        (b'["ant", "bee"', "is JSON of another kind"),
    ],
)
def test_files_that_name_no_class_each(tmp_path, content, said):
    (tmp_path / "labels.txt").write_bytes(content)
    with pytest.raises(InputError, match=re.escape(said)) as raised:
        read_labels(tmp_path / "labels.txt", 2)
    assert "labels.txt" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_list_like_imagenets(tmp_path):
    """1,001 lines, the first for the background, two cranes."""
    names = [f"name {number}" for number in range(1000)]
    names[134] = names[517] = "crane"
    (tmp_path / "labels.txt").write_text("\n".join(["background", *names]))
    labels = read_labels(tmp_path / "labels.txt", 1000)
    assert (labels[0], labels[134], labels[517]) == ("name 0", "crane (134)", "crane (517)")
    index = {str(i): [f"n{i:08}", name] for i, name in enumerate(names)}
    (tmp_path / "index.json").write_text(json.dumps(index))
    assert read_labels(tmp_path / "index.json", 1000)[134] == "n00000134 crane"


def test_names_that_are_told_apart_are_said(tmp_path):
    told = Recorded()
    (tmp_path / "labels.txt").write_text("bluebell\ndaisy\ndaisy\ntulip")
    read_labels(tmp_path / "labels.txt", 4, Steps(told))
    (note,) = told.notes
    assert "names more than once" in note
    assert note.endswith("'daisy (1)', 'daisy (2)': give each class a name of its own")
    (tmp_path / "labels.txt").write_text("bluebell\ndaisy (1)\nrose\ntulip")
    read_labels(tmp_path / "labels.txt", 4, Steps(told))
    assert told.notes == [note]
