"""Several runs side by side: what each came to and cost, in tables, pictures and files for other programs."""
