"""What people take from runs: pages, comparisons, exports, tables of whole papers, and the field's trackers.

Everything here reads run directories, or the events of a run under way; nothing here decides anything.
"""
