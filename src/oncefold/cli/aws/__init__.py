"""The commands `oncefold aws ...`, each in a module of its own, imported when it is used."""
