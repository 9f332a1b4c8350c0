"""Whole tables of the papers, cell by cell, resumable."""
