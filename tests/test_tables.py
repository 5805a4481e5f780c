from utils.system.hashing import hash_bytes, hash_text
from utils.system.tables import write_csv

import pytest


def test_a_table_is_csv_whole_or_not_there(tmp_path):
    path = tmp_path / "new" / "table.csv"
    write_csv(path, ("path", "ü"), [("a, b", 0.5), ('"c"', "")])
    assert path.read_bytes() == 'path,ü\r\n"a, b",0.5\r\n"""c""",\r\n'.encode()

    def fail():
        yield "d", 1
        raise OSError

    with pytest.raises(OSError):
        write_csv(path, ("path", "ü"), fail())
    assert len(path.read_bytes()) == 31 and list(path.parent.iterdir()) == [path]


def test_hashes_stay():
    assert hash_text("ü") == "ccea9926cd506ef041d05adbd5a2dfb7"
    assert hash_bytes([b"a", b"b"]) == hash_text("ab")
