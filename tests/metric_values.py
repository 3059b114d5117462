"""Values of metrics in this process."""

from services.runtime.telemetry.metrics import setup_metrics
from tests.metrics_scraping import parse_samples, sum_samples


def read_metric(name: str, **labels: str) -> float:
    """Return the sum of the samples with the name and labels, as they would be scraped."""
    return sum_samples(parse_samples(setup_metrics("test", "test").render().decode()), name, **labels)
