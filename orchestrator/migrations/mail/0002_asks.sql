-- Who was asked about a request, with whatever mail: looked up whenever one of them is lost.
CREATE INDEX outgoing_asks ON outgoing (approval_id, position) WHERE kind = 'request';
