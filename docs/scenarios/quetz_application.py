"""mamba-org/quetz with somebody who has signed in; quetz.toml says where this file goes."""

import uuid

from quetz.config import Config
from quetz.database import get_session
from quetz.db_models import ApiKey, Base, Profile, User

_session = get_session(Config().sqlalchemy_database_url)
Base.metadata.create_all(_session.get_bind())
_user = User(id=uuid.UUID(int=1).bytes, username="alice", role="owner")
_user.profile = Profile(name="Alice", avatar_url="http://avatar")
_session.add_all([_user, ApiKey(key="alices-key", description="for proofs", user=_user, owner=_user)])
_session.commit()
_session.close()

from quetz.main import app  # noqa: E402, F401 (it reads the database's settings when it is imported)
