"""Machines that are made up from the files of their counters and sensors."""

import pytest

from vggexport.system.power import PowerMeter


@pytest.fixture
def write(tmp_path):
    def write(folder, **files):
        place = tmp_path / folder
        place.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (place / name).write_text(f"{text}\n")
        return place

    return write


def rapl(write, number, name, energy):
    folder = f"sys/class/powercap/intel-rapl:{number}"
    return write(folder, name=name, energy_uj=energy, max_energy_range_uj=10_000_000)


def test_counters_of_all_processors_and_not_of_their_parts(write, tmp_path):
    one = rapl(write, "0", "package-0", 1_000_000)
    two = rapl(write, "1", "package-1", 9_000_000)
    rapl(write, "0:0", "core", 5)
    meter = PowerMeter(tmp_path, iter([10.0, 12.0]).__next__)
    assert meter.power.source == "RAPL package-0, RAPL package-1"

    def run():
        (one / "energy_uj").write_text("7000000")
        (two / "energy_uj").write_text("1000000")  # past its end: 2 J
        return "done"

    assert meter.over(run) == ("done", pytest.approx((6 + 2) / 2))


def test_a_counter_that_only_root_may_read_is_said(write, tmp_path):
    (rapl(write, "0", "package-0", "") / "energy_uj").unlink()
    meter = PowerMeter(tmp_path)
    assert meter.over(lambda: 1) == (1, None)
    assert meter.power.to_json() == {
        "source": None,
        "reason": f"root alone may read {tmp_path}/sys/class/powercap/intel-rapl:0/energy_uj",
    }


@pytest.mark.parametrize(
    ("files", "source"),
    [
        ({"name": "ina226", "power1_input": 5_250_000}, "ina226"),
        (
            {"name": "ina3221", "in1_label": "VDD_CPU", "in2_label": "VDD_IN"}
            | {"in1_input": 1, "curr1_input": 1, "in2_input": 5000, "curr2_input": 1050},
            "ina3221 VDD_IN",
        ),
    ],
)
def test_sensors_of_boards(write, tmp_path, files, source):
    write("sys/class/hwmon/hwmon0", name="coretemp", power1_input=1)
    write("sys/class/hwmon/hwmon1", **files)
    meter = PowerMeter(tmp_path)
    assert meter.power.source == source
    assert meter.over(lambda: 1) == (1, pytest.approx(5.25))


def test_a_machine_without_either(write, tmp_path):
    write("sys/class/hwmon/hwmon0", name="ina3221", in1_label="VDD_CPU")  # a part of the board
    meter = PowerMeter(tmp_path)
    assert meter.power.source is None
    assert meter.power.reason.startswith("there is neither a counter in /sys/class/powercap nor")
