"""The REST requests of docs/serving.md, sent to the stand-in for TensorFlow Serving."""

import importlib.util
import json
import pathlib
import re
import shutil
import subprocess
import threading

import numpy as np
import pytest
import tensorflow as tf

from tests.support.picture_files import encode

ROOT = pathlib.Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def port(digits_run):
    path = ROOT / "examples" / "serve_locally.py"
    spec = importlib.util.spec_from_file_location("serve_locally", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    server = module.make_server(str(digits_run.export), "digits", 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.skipif(not shutil.which("curl"), reason="the documented commands use curl")
def test_documented_requests(digits_run, port, tmp_path):
    (tmp_path / "digit.png").write_bytes(encode(digits_run.images[0]))
    documented = (ROOT / "docs" / "serving.md").read_text()
    of_bytes, of_arrays = re.findall(r"```sh\n(.+?)```", documented, re.DOTALL)
    images = [digits_run.images[:1], tf.zeros([1, 8, 8, 1])]
    for command, image in zip((of_bytes, of_arrays), images, strict=True):
        command = command.replace("8501", str(port))
        done = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        [prediction] = json.loads(done.stdout)["predictions"]
        with digits_run.model.averaged():
            logits = digits_run.model.network(image)
        np.testing.assert_allclose(prediction["scores"], tf.nn.softmax(logits)[0], atol=1e-5)
        assert prediction["classes"] == str(int(np.argmax(logits)))
        assert prediction["top_classes"][0] == prediction["classes"]


@pytest.mark.skipif(not shutil.which("curl"), reason="the requests are sent with curl")
def test_bad_requests_are_answered(port):
    def post(body, name="digits"):
        url = f"http://localhost:{port}/v1/models/{name}:predict"
        done = subprocess.run(["curl", "--silent", "--data", body, url], capture_output=True)
        return json.loads(done.stdout)

    assert "is no JPEG, PNG, BMP or GIF" in post('{"instances": [{"b64": "aGVsbG8="}]}')["error"]
    assert "dtype string" in post('{"instances": [1]}')["error"]
    assert "error" in post("{") and "error" in post("{}") and "error" in post("{}", "other")
