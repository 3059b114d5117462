"""Values of metrics in this process."""

from services.runtime.telemetry.metrics import setup_metrics
from tests.metrics_scraping import parse_samples, sum_samples


def read_metric(name: str, **labels: str) -> float:
    """Return the sum of the samples with the name and labels, as they would be scraped."""
    lines = setup_metrics("test", "test").render().decode().splitlines(keepends=True)
    return sum_samples(parse_samples("".join(line for line in lines if line.startswith(name))), name, **labels)
