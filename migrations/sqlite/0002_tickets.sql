-- How a tenant presents itself, and where its days are counted: a document each.
CREATE TABLE settings (
    scope      TEXT PRIMARY KEY,
    doc        TEXT NOT NULL,
    version    BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
