"""`python -m werp.tokens`: the same command as `werp tokenize`."""

from werp.tokens.command import main

if __name__ == "__main__":
    main()
