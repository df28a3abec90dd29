"""Why a file differs from its reference: the known mistakes, each tried and measured."""
