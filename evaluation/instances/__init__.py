"""Other contents of a database, on which a right query stays right and a lucky one does not.

contents   rows → other rows, keys whole (pure)      added    more rows       fresh   values that are not there yet
hints      what golds join and compare columns with   kinds    which of it an instance undergoes
child      reads a file and writes the others        folder   makes, keeps and finds the files of a database
"""
