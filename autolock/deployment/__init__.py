"""How an application is run, as far as the files of its project say: in how many processes, and who says so."""
