#!/usr/bin/env bash
# Unpacks Debian's Prometheus into target/prometheus, without installing or starting anything.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
  { echo "missing: apt-get and dpkg-deb; elsewhere put prometheus and promtool into target/prometheus/usr/bin" >&2; exit 1; }
mkdir -p target/prometheus
cd target/prometheus
apt-get download prometheus || { apt-get update && apt-get download prometheus; }
dpkg-deb --extract prometheus_*.deb .
rm prometheus_*.deb
