"""The REST doors, one module per tag of the contract: translate, call, translate back."""
