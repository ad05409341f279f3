"""Beside the package: ``assets`` rebuilds what ships, ``studies`` measures, ``house_rules`` checks style."""
