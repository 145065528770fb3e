-- SQLite compresses nothing: there is nothing to change. The number is taken, as the two schemas count together.
SELECT 1;
