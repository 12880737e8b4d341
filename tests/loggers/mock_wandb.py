"""The few answers of a W&B server that `wandb sync` needs, on 127.0.0.1. Keeps what is uploaded, by run id."""
import gzip
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Run:
    def __init__(self):
        self.history = {}  # offset -> line, as text
        self.summary = {}
        self.files = {}  # name -> bytes
        self.upserts = []  # the variables of each UpsertBucket
        self.console = []
        self.complete, self.exit_code = False, None

    def lines(self):
        return [json.loads(self.history[i]) for i in sorted(self.history)]


class MockServer:
    def __init__(self):
        self.runs = {}
        self.key = "0123456789abcdef" * 2 + "01234567"
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None  # the client hangs up when it is done
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def run(self, run_id):
        return self.runs.setdefault(run_id, Run())

    # GraphQL: what is asked, by the name of the operation

    def graphql(self, operation, variables):
        entity = {"id": "entity", "name": "tester"}
        project = {"id": "project", "name": variables.get("project") or "uncategorized", "entity": entity}
        if operation == "UpsertBucket":
            self.run(variables["name"]).upserts.append(variables)
            bucket = {"id": "bucket", "name": variables["name"], "displayName": variables.get("displayName") or "", "description": None,
                      "config": variables.get("config") or "{}", "sweepName": None, "historyLineCount": 0, "project": project}
            return {"upsertBucket": {"bucket": bucket, "inserted": True}}
        if operation == "RunResumeStatus":
            return {"model": {"id": "project", "name": "p", "entity": entity, "bucket": self.known(variables["name"])}}
        if operation == "CreateRunFiles":
            names = variables["files"]
            files = [{"name": n, "uploadUrl": f"{self.url}/storage/{variables['run']}/{n}"} for n in names]
            return {"createRunFiles": {"runID": "bucket", "uploadHeaders": [], "files": files}}
        if operation == "ServerFeaturesQuery":
            return {"serverInfo": {"features": []}}
        if operation.startswith("Viewer"):
            return {"viewer": {"id": "user", "entity": "tester", "username": "tester", "email": "", "flags": "{}", "teams": {"edges": []}}}
        return {}

    def known(self, run_id):
        run = self.runs.get(run_id)
        if not run or not run.history:
            return None
        return {"id": "bucket", "name": run_id, "displayName": "", "summaryMetrics": json.dumps(run.summary), "tags": [], "notes": "",
                "historyLineCount": len(run.history), "historyTail": json.dumps([run.history[max(run.history)]]), "eventsTail": "[]",
                "eventsLineCount": 0, "logLineCount": 0, "config": "{}", "wandbConfig": '{"t":{"1":1}}'}

    def stream(self, run_id, body):
        run = self.run(run_id)
        for name, part in (body.get("files") or {}).items():
            for i, line in enumerate(part["content"]):
                if name == "wandb-history.jsonl":
                    run.history[part["offset"] + i] = line
                elif name == "wandb-summary.json":
                    run.summary = json.loads(line)
                elif name == "output.log":
                    run.console.append(line)
        if body.get("complete"):
            run.complete, run.exit_code = True, body.get("exitcode")

    def _handler(server):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def body(self):
                data = b""
                if "chunked" in self.headers.get("Transfer-Encoding", ""):
                    while size := int(self.rfile.readline().split(b";")[0], 16):
                        data += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                else:
                    data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                return gzip.decompress(data) if self.headers.get("Content-Encoding") == "gzip" else data

            def reply(self, answer):
                data = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self):
                self.reply({})

            def do_PUT(self):
                run_id, name = self.path.removeprefix("/storage/").split("?")[0].split("/", 1)
                server.run(run_id).files[name] = self.body()
                self.reply({})

            def do_POST(self):
                body = json.loads(self.body() or b"{}")
                if self.path.endswith("/file_stream"):
                    server.stream(self.path.split("/")[-2], body)
                    self.reply({"exitcode": None, "limits": {}})
                elif self.path == "/graphql":
                    named = re.search(r"(?:query|mutation)\s+(\w+)", body.get("query", ""))
                    operation = body.get("operationName") or (named.group(1) if named else "")
                    self.reply({"data": server.graphql(operation, body.get("variables") or {})})
                else:
                    self.reply({})

        return Handler
