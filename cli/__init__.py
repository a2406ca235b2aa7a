"""The `aislewise` command: one small file per verb group, imported when used."""
