"""State of the firewall before Docker Engine started, and its restoration."""

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

IP_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
CHAIN_PREFIX, BRIDGE = "DOCKER", "docker0"


@dataclass(frozen=True)
class Firewall:
    """Output of iptables-save, and whether the kernel forwards packets."""

    rules: str
    ip_forward: str

    @classmethod
    def read(cls) -> Self:
        """Return the present state."""
        return cls(_save_rules(), IP_FORWARD.read_text(encoding="utf-8"))

    def restore(self) -> None:
        """Remove the rules and chains of Docker that are new, and restore policies and packet forwarding."""
        for command in plan_restoration(self.rules, _save_rules()):
            subprocess.run(["iptables", *command], check=False, capture_output=True)
        IP_FORWARD.write_text(self.ip_forward, encoding="utf-8")


def _save_rules() -> str:
    return subprocess.run(["iptables-save"], check=False, capture_output=True, text=True, encoding="utf-8").stdout


def plan_restoration(before: str, after: str) -> Iterator[Sequence[str]]:
    """Yield the arguments of iptables that remove Docker's rules and chains from `after` and restore policies."""
    tables_before = parse_tables(before)
    for table, (policies, rules) in parse_tables(after).items():
        policies_before, rules_before = tables_before.get(table, ({}, []))
        for rule in rules:
            if rule not in rules_before and any(_is_docker_name(word) for word in rule.split()):
                yield ["-t", table, *rule.replace("-A ", "-D ", 1).split()]
        chains = [chain for chain in policies if chain not in policies_before and chain.startswith(CHAIN_PREFIX)]
        yield from (["-t", table, "-F", chain] for chain in chains)
        yield from (["-t", table, "-X", chain] for chain in chains)
        for chain, policy in policies_before.items():
            if policy != policies.get(chain, policy):
                yield ["-t", table, "-P", chain, policy]


def _is_docker_name(word: str) -> bool:
    return word == BRIDGE or word.startswith(CHAIN_PREFIX)


def parse_tables(rules: str) -> dict[str, tuple[dict[str, str], list[str]]]:
    """Return the policy of each chain and the rules, by table, from the output of iptables-save."""
    tables: dict[str, tuple[dict[str, str], list[str]]] = {}
    table = ""
    for line in rules.splitlines():
        match line[:1]:
            case "*":
                table = line[1:]
                tables[table] = ({}, [])
            case ":":
                chain, policy, _ = line[1:].split()
                tables[table][0][chain] = policy
            case "-":
                tables[table][1].append(line)
    return tables
