from tests.web.desk.conftest import house, signed_in_as

__all__ = ["house", "signed_in_as"]
