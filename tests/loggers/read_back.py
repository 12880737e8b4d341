"""Reads the logs that sample.cpp wrote with the real packages and compares every number, text and picture.
usage: read_back.py FOLDER"""
import glob
import hashlib
import html
import io
import json
import math
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

from mock_wandb import MockServer

BIN = os.path.dirname(sys.executable)
results = {True: 0, False: 0}


def check(title, test, *args):
    """Runs a test, which raises if something is wrong and returns what it compared."""
    try:
        print(f"ok    {title}: {test(*args)}", flush=True)
        results[True] += 1
    except Exception as error:  # a reader may raise anything; the other checks go on
        print(f"FAIL  {title}: {type(error).__name__} {error}", flush=True)
        results[False] += 1


def same(found, expected, what):
    if isinstance(expected, float) and isinstance(found, (int, float)):
        found = float(found)
        if math.isnan(found) and math.isnan(expected):
            return
    if found != expected:
        raise ValueError(f"{what}: {str(found)[:300]} where {str(expected)[:300]} was logged")


def text_of(hexadecimal):
    return bytes.fromhex(hexadecimal).decode(errors="replace")


def single(number):
    return struct.unpack("f", struct.pack("f", number))[0]


def same_picture(png, picture, what):
    image = Image.open(io.BytesIO(png))
    same((image.format, image.mode, image.size), ("PNG", "RGB", (picture["width"], picture["height"])), what)
    same(image.tobytes().hex(), picture["rgb"], what)


# TensorBoard. What must be in each folder: (part, tag) -> {step: value}


def scalars_of(run):
    series = {}
    for epoch in run["epochs"]:
        for name, value in epoch["scalars"].items():
            part = "validation" if name.startswith("val_") else "train"
            tag = "epoch_" + name.removeprefix("val_")
            series.setdefault((part, tag), {})[epoch["number"] - 1] = single(float(value))
    return series


def pictures_of(run):
    series = {}
    for epoch in run["epochs"]:
        for key, pictures in epoch["pictures"].items():
            if pictures:
                series.setdefault(key, {})[epoch["number"] - 1] = pictures
    return series


def accumulator(folder, run):
    scalars, pictures, count = scalars_of(run), pictures_of(run), 0
    for part in ("train", "validation"):
        events = EventAccumulator(f"{folder}/tensorboard/{part}", size_guidance={"tensors": 0})
        events.Reload()
        tags = {tag for p, tag in scalars if p == part}
        tags |= {f"{key}{end}" for key in pictures for end in ("", "/captions")} if part == "validation" else {"configuration"}
        same(set(events.Tags()["tensors"]), tags, f"tags in {part}")
        for (_, tag), series in ((k, v) for k, v in scalars.items() if k[0] == part):
            same(events.SummaryMetadata(tag).plugin_data.plugin_name, "scalars", tag)
            found = events.Tensors(tag)
            same([e.step for e in found], list(series), f"steps of {part}/{tag}")
            for event in found:
                same(float(tensor_util.make_ndarray(event.tensor_proto)), series[event.step], f"{part}/{tag} {event.step}")
                count += 1
    for key, series in pictures.items():
        same(events.SummaryMetadata(key).plugin_data.plugin_name, "images", key)
        same([e.step for e in events.Tensors(key)], list(series), f"steps of {key}")
        for event in events.Tensors(key):
            width, height, *pngs = event.tensor_proto.string_val
            logged = series[event.step]
            same((int(width), int(height), len(pngs)), (logged[0]["width"], logged[0]["height"], len(logged)), key)
            for png, picture in zip(pngs, logged):
                same_picture(png, picture, f"{key} {event.step}")
                count += 1
    return f"{count} scalars and pictures"


class Server:
    """The real TensorBoard; fast: its data server in Rust."""

    def __init__(self, logdir, fast):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [f"{BIN}/tensorboard", "--logdir", logdir, "--host", "127.0.0.1", "--port", str(self.port), f"--load_fast={str(fast).lower()}",
             "--samples_per_plugin", "images=1000"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def get(self, path, **query):
        url = f"http://127.0.0.1:{self.port}/data/plugin/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.read()

    def json(self, path, **query):
        return json.loads(self.get(path, **query))

    def wait(self, expected):
        """Until it has read the last point of each series."""
        wanted = {(f"{name}/tensorboard/{part}", tag): len(points) for name, run in expected.items()
                  for (part, tag), points in scalars_of(run).items()}
        end, missing = time.time() + 90, len(wanted)
        while missing:
            time.sleep(0.5)
            if time.time() > end:
                raise TimeoutError(f"{missing} of {len(wanted)} series are not complete after 90 s")
            try:
                missing = sum(len(self.json("scalars/scalars", run=run, tag=tag)) < points for (run, tag), points in wanted.items())
            except (urllib.error.URLError, ConnectionError):
                pass  # not up yet; or up, and without that series
        return f"{len(wanted)} series"


def served_scalars(server, name, run):
    count = 0
    for (part, tag), series in scalars_of(run).items():
        points = server.json("scalars/scalars", run=f"{name}/tensorboard/{part}", tag=tag)
        same([step for _, step, _ in points], list(series), f"steps of {part}/{tag}")
        for _, step, value in points:
            same(float(value), series[step], f"{part}/{tag} {step}")
            count += 1
    return f"{count} scalars"


def served_pictures(server, name, run):
    count = 0
    where = f"{name}/tensorboard/validation"
    tags = server.json("images/tags")
    for key, series in pictures_of(run).items():
        same(tags[where][key]["samples"], len(next(iter(series.values()))), f"samples of {key}")
        for sample in range(tags[where][key]["samples"]):
            entries = server.json("images/images", run=where, tag=key, sample=sample)
            same([e["step"] for e in entries], list(series), f"steps of {key}")
            for entry in entries:
                query = dict(urllib.parse.parse_qsl(entry["query"]))
                same_picture(server.get("images/individualImage", **query), series[entry["step"]][sample], f"{key} {entry['step']}")
                count += 1
    return f"{count} pictures"


def plain_text(page):
    return html.unescape(re.sub(r"<[^>]*>", "", page))


def served_texts(server, name, run):
    count = 0
    for key, series in pictures_of(run).items():
        texts = server.json("text/text", run=f"{name}/tensorboard/validation", tag=f"{key}/captions")
        same([t["step"] for t in texts], list(series), f"steps of {key}/captions")
        for text in texts:
            captions = [text_of(p["caption"]) for p in series[text["step"]]]
            same(plain_text(text["text"]).split("\n"), ["", *captions, ""], f"{key}/captions")
            count += len(captions)
    tables = server.json("text/text", run=f"{name}/tensorboard/train", tag="configuration")
    same([t["step"] for t in tables], [part["first"] - 1 for part in run["parts"]], "steps of the configuration")
    settings = {key: text_of(value).replace("\n", " ") for key, value in run["config"].items()} | {"command": run["command"]}
    for table in tables:
        cells = [plain_text(cell) for cell in re.findall(r"<td>(.*?)</td>", table["text"], re.S)]
        same(dict(zip(cells[::2], cells[1::2])), settings, "configuration")
        count += len(settings)
    return f"{count} captions and settings"


# W&B


def setting(hexadecimal):
    """Numbers and truth values are shown as such."""
    text = text_of(hexadecimal)
    return {"0.001": 0.001, "true": True}.get(text, text)


def same_epoch(line, epoch, step, read_file):
    """One line of history, its lists of pictures as objects."""
    same(line["_step"], step, "_step")
    same(line["epoch"], epoch["number"], "epoch")
    for name, value in epoch["scalars"].items():
        same(float(line[name]), float(value), f"{name} of epoch {epoch['number']}")
    names = {"_step", "_timestamp", "_runtime", "epoch", *epoch["scalars"], *epoch["pictures"]}
    same(set(line), names, "names")
    count = len(epoch["scalars"])
    for key, pictures in epoch["pictures"].items():
        if not pictures:
            same(line[key], [], key)
            continue
        files = line[key]["filenames"]
        same(line[key], {"_type": "images/separated", "format": "png", "width": pictures[0]["width"], "height": pictures[0]["height"],
                         "count": len(pictures), "filenames": files, "captions": [text_of(p["caption"]) for p in pictures]}, key)
        for file, picture in zip(files, pictures):
            png = read_file(file)
            same(file.rsplit("_", 1)[1], hashlib.sha256(png).hexdigest()[:20] + ".png", "name of a picture")
            same_picture(png, picture, file)
            count += 1
    return count


def unflattened(items):
    tree = {}
    for name, value in items.items():
        head, _, rest = name.partition(".")
        if rest:
            tree.setdefault(head, {})[rest] = value
        else:
            tree[head] = value
    return tree


def inspect(folder, run, part):
    """The records of one folder, as `wandb leet inspect` shows them."""
    output = subprocess.run([f"{BIN}/wandb", "leet", "inspect", "--json", folder], capture_output=True, text=True, check=True).stdout
    records = [json.loads(line) for line in output.splitlines()]
    same([r["num"] for r in records], list(range(1, len(records) + 1)), "numbers of the records")
    kinds = [r["type"] for r in records]
    same(kinds[:3] + kinds[-3:], ["header", "run", "environment", "summary", "output_raw", "exit"], "kinds of record")
    of = lambda kind: [r[kind] for r in records if r["type"] == kind]
    same(of("run")[0]["config"]["update"], {k: setting(v) for k, v in run["config"].items()}, "config")
    same(bool(of("run")[0].get("resume")), part["first"] > 1, "resume")
    environment = of("environment")[0]
    same(" ".join([environment["program"], *environment["args"]]), run["command"], "command")
    same(of("output_raw")[0]["line"], part["hint"] + "\n", "printed")
    same(of("exit")[0].get("exit_code", 0), part["exit_code"], "exit code")

    epochs = [e for e in run["epochs"] if part["first"] <= e["number"] <= part["last"]]
    same(len(of("history")), len(epochs), "lines of history")
    read_file = lambda name: open(f"{folder}/files/{name}", "rb").read()
    count, announced, best = 0, set(), 0
    for record in records:
        if record["type"] == "files":
            announced |= {f["path"] for f in record["files"]["files"]}
        if record["type"] == "history":
            line, step = unflattened(record["history"]["item"]), int(record["history"]["step"]["num"])
            count += same_epoch(line, epochs[step], step, read_file)
            same({f for v in line.values() if isinstance(v, dict) for f in v["filenames"]} <= announced, True, "pictures before the line")
            best = max(best, float(epochs[step]["scalars"]["val_accuracy"]))
        if record["type"] == "summary" and "loss" in record["summary"]["update"]:
            update = unflattened(record["summary"]["update"])
            same({k: str(v) for k, v in update.items() if k in line}, {k: str(v) for k, v in line.items()}, "summary")  # str: NaN is not NaN
            same(update["best_val_accuracy"], best, "best so far")
    same(of("summary")[-1]["update"]["best_epoch"], part["best_epoch"], "best epoch")
    return f"{len(records)} records, {count} scalars and pictures"


def sync(folders, server):
    environment = os.environ | {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": server.key}
    done = subprocess.run([f"{BIN}/wandb", "sync", *folders], env=environment, capture_output=True, text=True, timeout=300)
    for folder in folders:  # its exit status is 0 also if it fails
        if not glob.glob(f"{folder}/run-*.wandb.synced"):
            raise ValueError(f"{folder} was not uploaded: {done.stderr[-1000:]}")
    return f"{len(folders)} folder(s) marked as synced"


def uploaded(name, run, run_id, server):
    found = server.runs[run_id]
    same(len(found.history), len(run["epochs"]), "lines of history")
    count = 0
    for step, (line, epoch) in enumerate(zip(found.lines(), run["epochs"])):
        count += same_epoch(line, epoch, step, found.files.__getitem__)
    last = run["parts"][-1]
    same((found.complete, found.exit_code), (True, last["exit_code"]), "end of the run")
    same(found.upserts[0]["project"], "limn-sample", "project")
    same(found.upserts[0]["displayName"], name, "name")
    config = {k: v["value"] for k, v in json.loads(found.upserts[0]["config"]).items() if k != "_wandb"}
    same(config, {k: setting(v) for k, v in run["config"].items()}, "config")
    same({k: found.summary[k] for k in ("_step", "epoch", "best_epoch", "best_val_accuracy")},
         {"_step": len(run["epochs"]) - 1, "epoch": run["epochs"][-1]["number"], "best_epoch": last["best_epoch"],
          "best_val_accuracy": last["best_val_accuracy"]}, "summary")
    same(len(found.console), len(run["parts"]), "lines of output")
    same(json.loads(found.files["wandb-metadata.json"])["program"], run["command"].split()[0], "program")
    return f"{len(found.files)} files, {count} scalars and pictures"


def main(root):
    expected = json.load(open(f"{root}/expected.json"))
    for name, run in expected.items():
        check(f"EventAccumulator, {name}", accumulator, f"{root}/{name}", run)
    for fast in (True, False):
        loader = "fast loader" if fast else "slow loader"
        server = Server(root, fast)
        try:
            check(f"tensorboard {loader}, reading", server.wait, expected)
            for name, run in expected.items():
                for what, test in (("scalars", served_scalars), ("pictures", served_pictures), ("texts", served_texts)):
                    check(f"tensorboard {loader}, {what}, {name}", test, server, name, run)
        finally:
            server.process.terminate()
            server.process.wait()
    mock = MockServer()
    for name, run in expected.items():
        folders = sorted(glob.glob(f"{root}/{name}/wandb/offline-run-*"))
        run_id = open(f"{root}/{name}/wandb/run-id").read().strip()
        for folder, part in zip(folders, run["parts"], strict=True):
            check(f"wandb leet inspect, {name} from epoch {part['first']}", inspect, folder, run, part)
        latest = os.path.realpath(f"{root}/{name}/wandb/latest-run")
        check(f"latest-run, {name}", lambda: same(latest, os.path.realpath(folders[-1]), "link") or os.path.basename(latest))
        check(f"wandb sync, {name}", sync, folders, mock)
        check(f"uploaded, {name}", uploaded, name, run, run_id, mock)
    print(f"{results[True]} passed, {results[False]} failed")
    return 1 if results[False] else 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:  # wandb leaves its own logs and settings there
        os.environ.update(HOME=home, WANDB_DIR=home, WANDB_ERROR_REPORTING="false")
        sys.exit(main(sys.argv[1]))
