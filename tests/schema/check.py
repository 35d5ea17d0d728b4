"""check.py SCHEMA ROOT: holds the routing files below ROOT against SCHEMA, as an editor would."""

import json
import pathlib
import re
import sys

import jsonschema
import yaml

# What the gateway says of a file whose shape is wrong; all else is about what values mean.
SHAPE = re.compile(
    r': unknown key|: the key "[a-z_]+" is missing$|: .* is not (a|an|the|one) |: .* is not a known word|: .* is out of range'
    r"|: nothing says what this rule|: this rule .* several things at once|: a key comes from one place$"
)
# Of a kind that JSON Schema can see, but one that `gatepost schema` leaves to the gateway.
BEYOND = re.compile(r"is not a key set|is not a resource|is not one of this file's")


def main(schema_file, root):
    schema = json.loads(pathlib.Path(schema_file).read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    root = pathlib.Path(root)
    faults = []

    def errors(path):
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(yaml.safe_load(path.read_text()))]

    good = [path for folder in ("config", "docs", "deploy") for path in sorted((root / folder).rglob("*.yaml"))]
    good = [path for path in good if re.search(r"^authorization_servers:", path.read_text(), re.M)]
    for path in good:
        faults += [f"{path}: {error}" for error in errors(path)]

    bad = 0
    for path in sorted((root / "tests/broken").glob("*.yaml")):
        said = [line for line in path.with_suffix(".txt").read_text().splitlines() if line.startswith(path.name)]
        shape = [line for line in said if SHAPE.search(line) and not BEYOND.search(line)]
        if not shape:
            continue
        bad += 1
        if not errors(path):
            faults.append(f"{path}: accepted, though the gateway says\n  " + "\n  ".join(shape))

    print("\n".join(faults) if faults else f"ok: {len(good)} files accepted, {bad} of a wrong shape refused")
    return 1 if faults or len(good) < 6 or bad < 8 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
