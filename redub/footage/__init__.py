"""footage: a face kit and a seed -> clips of people who do not exist, with every answer known."""
