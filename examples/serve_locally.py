"""Answers TensorFlow Serving's REST requests with an exported model, to try them without it.

Not for production: one model, one version, no batching, only the requests of docs/serving.md. It
needs only TensorFlow.

    python examples/serve_locally.py runs/digits/export/1 digits 8501
"""

import base64
import http.server
import json
import sys

import tensorflow as tf


def make_server(saved_model, name, port):
    """An HTTP server that answers POST /v1/models/NAME:predict once `serve_forever` runs."""
    model = tf.saved_model.load(saved_model)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            try:
                if self.path != f"/v1/models/{name}:predict":
                    return self.answer(404, {"error": f"Servable not found for {self.path}"})
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.answer(200, predict(model, json.loads(body)))
            except (ValueError, TypeError, KeyError, tf.errors.InvalidArgumentError) as error:
                self.answer(400, {"error": str(error)})

        def answer(self, status, content):
            encoded = json.dumps(content, indent=4).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

    return http.server.ThreadingHTTPServer(("localhost", port), Handler)


def predict(model, request):
    """The response to a request, both in the row format of TensorFlow Serving's REST API."""
    signature = model.signatures[request.get("signature_name", "serving_default")]
    [(name, spec)] = signature.structured_input_signature[1].items()
    instances = [
        base64.b64decode(value["b64"]) if isinstance(value, dict) else value
        for value in request["instances"]
    ]
    outputs = signature(**{name: tf.constant(instances, spec.dtype)})
    columns = {key: _json(values.numpy()) for key, values in outputs.items()}
    rows = zip(*columns.values(), strict=True)
    return {"predictions": [dict(zip(columns, row, strict=True)) for row in rows]}


def _json(values):
    return values.astype(str).tolist() if values.dtype == object else values.tolist()


if __name__ == "__main__":
    make_server(sys.argv[1], sys.argv[2], int(sys.argv[3])).serve_forever()
