"""The agent's certificates last a minute: under load, past several ends, with the application asking for new tokens."""

import time
import unittest

import stack
from istio import mesh
from istio.load import Load

LIFE = 60
SECONDS = 150


class Rotation(unittest.TestCase):
    def test_past_several_ends_of_certificates_no_request_with_a_fresh_token_is_lost(self):
        with mesh.Mesh(life=LIFE) as world, Load(world) as load:
            deadline = time.monotonic() + SECONDS
            certificates = set()
            while time.monotonic() < deadline:
                certificates.add(world.identity("client").certificate.read_text())
                load.renew()
                time.sleep(1)
            self.assertGreaterEqual(len(certificates), 3)
            self.assertEqual(load.admitted_thefts(), [])
            self.assertGreater(len(load.good), SECONDS)
            # Of a token bound to the old certificate, what was sent before the application had its new one.
            late = [one for one in load.lost() if not load.renewed_near(one[0])]
            self.assertEqual(late, [])
            stack.until(lambda: world.ask(world.token()).status == 200, "a good request at the end", 30)


if __name__ == "__main__":
    unittest.main()
