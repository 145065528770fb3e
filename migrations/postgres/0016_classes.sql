-- What an occurrence of a class is found by: the class, and when it starts. Both stand in the document, too. Without a class, the start says nothing.
ALTER TABLE catalogue ADD COLUMN class TEXT COLLATE "C";
ALTER TABLE catalogue ADD COLUMN starts_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX catalogue_class ON catalogue (scope, class, starts_at, id) WHERE class IS NOT NULL;
