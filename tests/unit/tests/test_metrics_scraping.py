"""Parsing of scraped metrics."""

from tests.metrics_scraping import find_samples, parse_samples, sum_samples

EXPOSITION = r"""
# TYPE envoy_cluster_upstream_rq counter
envoy_cluster_upstream_rq{envoy_response_code="200",path="/\"a\\\n,b=\"c\""} 5
envoy_cluster_upstream_rq{envoy_response_code="503"} 2 1764360000000
# TYPE delivery_orders_total counter
delivery_orders_total{status="paid"} 3
# TYPE job:requests:rate5m gauge
job:requests:rate5m{job="orders"} 1.5
"""


def test_labels_with_escapes_are_decoded() -> None:
    (sample,) = find_samples(parse_samples(EXPOSITION), "envoy_cluster_upstream_rq", {"envoy_response_code": "200"})
    assert sample.labels["path"] == '/"a\\\n,b="c"'


def test_samples_with_timestamps_and_colons_are_included() -> None:
    scrape = parse_samples(EXPOSITION)
    assert sum_samples(scrape, "envoy_cluster_upstream_rq") == 7
    assert sum_samples(scrape, "job:requests:rate5m", job="orders") == 1.5


def test_counter_names_are_unchanged() -> None:
    assert {sample.name for sample in parse_samples(EXPOSITION)} == {
        "envoy_cluster_upstream_rq",
        "delivery_orders_total",
        "job:requests:rate5m",
    }
