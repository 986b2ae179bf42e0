"""How findings are shown: to a person, to a program, to a code host."""
