"""Published scores as data, each with its source and date, to be printed beside ours."""
