#!/usr/bin/env python3
"""What a fleet takes: from what one machine was measured to take, to so many uploads a day.

    benches/load/model.py                       holds the model against measured points, then plans for a billion uploads a day
    benches/load/model.py --uploads 5e6 --megapixels 12 --again 0.3
    benches/load/model.py --measured FILE       with another machine's figures

The model is CPU time: what a job takes of each part, by kind of job, is measured (`cargo bench --bench fleet -- cost` and `scale`), and parts
that share processors add up. Nothing is fitted but a line through what children take by megapixels.
"""
import argparse
import json
import math
import pathlib
import sys

DAY = 86_400
KIB, GIB, TIB, PIB = 2**10, 2**30, 2**40, 2**50


class Model:
    """Of one machine's figures; times in seconds."""

    def __init__(self, measured):
        self.measured = measured
        self.processors = measured["processors"]
        self.cost = measured["cost"]
        points = [(float(size), ms / 1e3) for size, ms in measured["child_ms"].items()]
        self.base, self.per_megapixel = line(points)

    def child(self, megapixels):
        """CPU time of a child that makes a thumbnail of a photo."""
        return self.base + self.per_megapixel * megapixels

    def job(self, kind, child=None):
        """CPU time of a job of a kind, on all parts together."""
        parts = self.cost[kind]
        children = parts["children_ms"] / 1e3 if child is None else child
        return children + (parts["worker_ms"] + parts["postgresql_ms"] + parts["rabbitmq_ms"]) / 1e3

    def rate(self, kind, child=None):
        """Jobs per second where all parts share this machine: what its processors allow."""
        return self.processors / self.job(kind, child)


def line(points):
    """Least squares of relative errors: (at zero, slope)."""
    weights = [1 / y**2 for _, y in points]
    total = sum(weights)
    x = sum(w * p[0] for w, p in zip(weights, points)) / total
    y = sum(w * p[1] for w, p in zip(weights, points)) / total
    slope = sum(w * (p[0] - x) * (p[1] - y) for w, p in zip(weights, points)) / sum(
        w * (p[0] - x) ** 2 for w, p in zip(weights, points)
    )
    return y - slope * x, slope


def check(model):
    """Predicted rates beside measured ones; whether each is near enough to plan by."""
    print("held against what was measured on one machine, jobs per second")
    print(f"  {'':<44}{'model':>9}{'measured':>10}{'ratio':>8}")
    points = [(f"{kind}: {about}", model.rate(kind), model.cost[kind]["per_second"]) for kind, about in KINDS.items()]
    points += [
        (f"new, {size} MP", model.rate("new", model.child(float(size))), rate)
        for size, rate in model.measured["large_per_second"].items()
    ]
    good = True
    for name, predicted, seen in points:
        ratio = seen / predicted
        near = 1 / 2 <= ratio <= 4 / 3
        good &= near
        print(f"  {name:<44}{predicted:>9.1f}{seen:>10.1f}{ratio:>8.2f}{'' if near else '   OFF'}")
    return good


KINDS = {
    "new": "converted",
    "again": "the same upload by another job",
    "listed": "refused by a claimed digest",
}


def plan(model, wanted):
    """What so many uploads a day take."""
    mean = wanted.uploads / DAY
    peak = mean * wanted.peak
    shares = {"again": wanted.again, "listed": wanted.listed, "new": 1 - wanted.again - wanted.listed}
    if shares["new"] < 0:
        sys.exit("model.py: --again and --listed are more than 1 together")
    child = model.child(wanted.megapixels)

    def part(name):
        return sum(share * model.cost[kind][name] / 1e3 for kind, share in shares.items())

    children = shares["new"] * child
    figures = {
        "workers": children + part("worker_ms"),
        "PostgreSQL": part("postgresql_ms"),
        "RabbitMQ": part("rabbitmq_ms"),
    }
    commits = sum(share * model.cost[kind]["transactions"] for kind, share in shares.items())
    wal = sum(share * model.cost[kind]["log_kib"] for kind, share in shares.items()) * KIB
    print(f"\n{wanted.uploads:,.0f} uploads a day of {wanted.megapixels:g} MP and {wanted.megabytes:g} MB: {mean:,.0f} a second, {peak:,.0f} at the peak (× {wanted.peak:g})")
    print(f"  of them new {shares['new']:.0%}, again {wanted.again:.0%}, refused by digest {wanted.listed:.0%}; processors busy to {wanted.busy:.0%} at the peak\n")
    rows = []
    for name, seconds in figures.items():
        rows.append((f"processors for {name}", f"{peak * seconds / wanted.busy:,.0f}", f"{seconds * 1e3:.2f} ms of CPU time a job"))
    machines = math.ceil(peak * figures["workers"] / wanted.busy / wanted.processors)
    rows.append((f"worker hosts of {wanted.processors} processors", f"{machines:,}", f"{peak / machines:,.0f} jobs a second each"))
    claims = peak * shares["new"] / (model.measured["claims_per_second"] * wanted.busy)
    rows.append(("ledgers as fast as the one measured", f"{math.ceil(claims):,}", f"{model.measured['claims_per_second']:,} claims a second each, busy to {wanted.busy:.0%}"))
    messages = peak / (model.measured["bare_per_second"] * wanted.busy)
    rows.append(("brokers as fast as the one measured", f"{math.ceil(messages):,}", f"{model.measured['bare_per_second']:,} jobs taken and answered a second each"))
    rows.append(("transactions a second, all ledgers", f"{peak * commits:,.0f}", f"{commits:.1f} a job"))
    rows.append(("PostgreSQL's log, all ledgers", f"{mean * wal * DAY / TIB:,.1f} TiB a day", f"{wal / KIB:.1f} KiB a job"))
    week = wanted.uploads * shares["new"] * 7 * model.measured["bytes_per_million_digests"] / 1e6
    rows.append(("rows, a week of them", f"{week / TIB:,.1f} TiB", f"{model.measured['bytes_per_million_digests'] / 1e6 / KIB:.1f} KiB a new digest with attempt, result and job"))
    rows.append(("uploads read", f"{wanted.uploads * (1 - wanted.listed) * wanted.megabytes * 1e6 / PIB:,.2f} PiB a day", f"{peak * (1 - wanted.listed) * wanted.megabytes * 8 / 1e3:,.0f} Gbit/s at the peak"))
    rows.append(("renditions written", f"{wanted.uploads * shares['new'] * wanted.rendition_kilobytes * 1e3 / TIB:,.1f} TiB a day", f"{wanted.rendition_kilobytes:g} kB a new upload"))
    for name, value, why in rows:
        print(f"  {name:<42}{value:>18}   {why}")


def main():
    here = pathlib.Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measured", type=pathlib.Path, default=here / "measured.json")
    parser.add_argument("--uploads", type=float, default=1e9, help="a day (1e9)")
    parser.add_argument("--megapixels", type=float, default=12, help="of a photo (12)")
    parser.add_argument("--megabytes", type=float, default=3, help="of a photo (3)")
    parser.add_argument("--rendition-kilobytes", type=float, default=30, help="of all that is made of one (30)")
    parser.add_argument("--again", type=float, default=0.2, help="share of uploads that were converted before (0.2)")
    parser.add_argument("--listed", type=float, default=0.01, help="share that is refused by its digest (0.01)")
    parser.add_argument("--peak", type=float, default=2.5, help="busiest second, in means (2.5)")
    parser.add_argument("--busy", type=float, default=0.6, help="how busy a part may be then (0.6)")
    parser.add_argument("--processors", type=int, default=32, help="of a worker host (32)")
    wanted = parser.parse_args()
    model = Model(json.loads(wanted.measured.read_text()))
    good = check(model)
    plan(model, wanted)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
