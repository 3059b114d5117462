"""Demo of the seven scenarios: the scenarios, the recorder of their traces, and the diagrams drawn from them."""
