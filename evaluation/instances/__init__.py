"""Other contents of a database, on which a right query stays right and a lucky one does not.

contents   rows → other rows, keys whole (pure)      hints    what golds join and compare columns with
child      reads a file and writes the others        folder   makes, keeps and finds the files of a database
"""
